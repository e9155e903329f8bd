"""docs/enrolment.md tells another implementation the truth about the code that it shows and the names that it signs under."""

from engagement.line import claim, setup
from tests.house.tree import ROOT
from tests.unit.line.test_claim import NEW_TEXT

PAGE = (ROOT / "docs" / "enrolment.md").read_text(encoding="utf-8")


def test_the_example_is_what_the_tests_pin() -> None:
    assert f"`{NEW_TEXT}`" in PAGE


def test_every_path_and_domain_is_told() -> None:
    sources = [(ROOT / "engagement" / "line" / name).read_text() for name in ("claim.py", "setup.py")]
    domains = [
        line.split('b"')[1].split("\\x00")[0]
        for source in sources
        for line in source.splitlines()
        if "_DOMAIN: Final" in line
    ]
    assert len(domains) == 7
    told = [setup.SETUP_PATH, setup.CLAIM_PATH, *domains]
    of_the_first_version = {"beckon claim code v1", "beckon enrolment answer v1"}
    assert [name for name in told if name not in PAGE and name not in of_the_first_version] == []


def test_the_polynomial_is_told() -> None:
    found = claim.parse_claim(NEW_TEXT)
    assert found.address is not None
    assert found.root_fingerprint is not None
    data = found.address.encode() + b"/" + bytes.fromhex(found.id) + found.key + found.root_fingerprint
    rest = 0xFFFFF
    for octet in data:
        for place in range(7, -1, -1):
            carried = rest >> 19 ^ (octet >> place & 1)
            rest = (rest << 1 & 0xFFFFF) ^ (0x6B04F if carried else 0)
    letters = "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[rest >> shift & 31] for shift in (15, 10, 5, 0))
    assert NEW_TEXT.endswith(letters)
    assert "polynomial 6b04f, start fffff" in PAGE
