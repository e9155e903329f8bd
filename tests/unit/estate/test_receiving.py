"""Which sealed bundles an agent takes, and what it says of the others."""

import json
from typing import Any

import pytest

from engagement.estate.bundle import Bundle
from engagement.estate.receiving import BundleUnfit, receive
from engagement.ids import AgentName
from engagement.line.seal import SealKind, seal
from tests.fakes.hq_authority import make_authority, make_root
from tests.fakes.premises import harbour_bundle

ROOT = make_root()
AUTHORITY = make_authority(ROOT)
AGENT = AgentName("harbour-1")


def bundle(**changes: Any) -> Bundle:
    return harbour_bundle().model_copy(update={"sequence": 5, **changes})


def sealed(of: Bundle, kind: SealKind = SealKind.BUNDLE) -> str:
    return seal(kind, of.model_dump_json(), AUTHORITY)


def taken(text: str, **knowing: Any) -> Bundle:
    return receive(text, root_pem=ROOT.pem, **{"agent": AGENT} | knowing)


def test_the_first_one_and_a_newer_one_are_taken() -> None:
    assert taken(sealed(bundle())) == bundle()
    assert taken(sealed(bundle()), present=bundle(sequence=4), above=4) == bundle()


@pytest.mark.parametrize("above", [5, 6])
def test_the_same_one_and_an_older_one_are_not_newer(above: int) -> None:
    with pytest.raises(BundleUnfit, match=f"sequence is 5, and {above} was taken before"):
        taken(sealed(bundle()), above=above)


def test_another_agents_is_refused() -> None:
    with pytest.raises(BundleUnfit, match="it is for agent 'harbour-1', this is 'harbour-2'"):
        taken(sealed(bundle()), agent=AgentName("harbour-2"))


def test_a_bundle_does_not_move_a_store() -> None:
    elsewhere = bundle().branch.model_copy(update={"code": "ELSEWHERE"})
    with pytest.raises(BundleUnfit, match="its branch is 'ELSEWHERE', this store's is 'HARBOUR'"):
        taken(sealed(bundle(branch=elsewhere)), present=bundle())
    with pytest.raises(BundleUnfit, match="its agent number is 9"):
        taken(sealed(bundle(agent_number=9)), present=bundle())


def test_what_the_root_did_not_seal_is_refused() -> None:
    strangers = seal(SealKind.BUNDLE, bundle().model_dump_json(), make_authority(make_root()))
    changed = json.loads(sealed(bundle()))
    changed["payload"] = changed["payload"].replace("Harbour Street", "Harbour Alley")
    for text in (strangers, json.dumps(changed), sealed(bundle(), SealKind.GRANT), sealed(bundle())[:-9], ""):
        with pytest.raises(BundleUnfit, match="it is not HQ's"):
            taken(text)


def test_a_bundle_of_a_later_version_is_refused_and_not_half_read() -> None:
    later = json.loads(bundle().model_dump_json()) | {"version": 2}
    with pytest.raises(BundleUnfit, match="cannot read it"):
        taken(seal(SealKind.BUNDLE, json.dumps(later), AUTHORITY))
