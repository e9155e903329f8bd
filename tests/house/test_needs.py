"""What a machine lacks is said in a line, and where everything is required it fails; recordings are exempt from that."""

from pathlib import Path

import pytest

from tests.fakes.recordings import recorded
from tests.needs import needs


def test_a_tool_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BECKON_REQUIRE_ALL", raising=False)
    with pytest.raises(BaseException, match="needs a printer, which this machine has not") as stopped:
        needs("a printer", available=False)
    assert stopped.type.__name__ == "Skipped"
    needs("a printer", available=True)


def test_where_everything_is_required_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BECKON_REQUIRE_ALL", "1")
    with pytest.raises(BaseException, match="needs a printer, and BECKON_REQUIRE_ALL=1") as stopped:
        needs("a printer", available=False)
    assert stopped.type.__name__ == "Failed"


def test_recordings_are_looked_for_where_it_is_said_and_never_required(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BECKON_REQUIRE_ALL", "1")
    monkeypatch.setenv("BECKON_DATA", str(tmp_path))
    with pytest.raises(BaseException, match="no recording walk") as stopped:
        recorded("walk")
    assert stopped.type.__name__ == "Skipped"
    (tmp_path / "walk").touch()
    assert recorded("walk") == tmp_path / "walk"
