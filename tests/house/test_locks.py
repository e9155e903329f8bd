"""The three lock files agree with each other, and say nothing of where packages come from."""

import re

from tests.house.tree import ROOT


def _pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ \\]+)", text, re.MULTILINE))


def test_all_locks_pin_the_same_versions() -> None:
    develop = _pins("dev.txt")
    for name in ("run.txt", "build.txt"):
        assert _pins(name), f"requirements/{name} pins nothing"
        differing = {package: pin for package, pin in _pins(name).items() if develop.get(package) != pin}
        assert differing == {}, f"requirements/{name} differs from dev.txt"


def test_every_pin_has_a_hash() -> None:
    for name in ("run.txt", "dev.txt", "build.txt"):
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        bare = [
            entry.split("==")[0]
            for entry in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
            if "--hash=sha256:" not in entry
        ]
        assert bare == [], name


def test_no_lock_names_an_index() -> None:
    for name in ("run.txt", "dev.txt", "build.txt"):
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        assert not re.search(r"index-url|find-links|https?://", text), name
