"""Every refusal has words for the cashier and the shopper in every language, and carries the facts that they need."""

from collections.abc import Iterator
from string import Formatter

import pytest

from engagement.campaign.model import LANGUAGES
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.refusal.sentence import CATALOGUE, sentences
from tests.fakes.refusals import made_by_the_rules

# Made by no rule of this store yet: they need a second agent, HQ's line, or other merchants.
NOT_YET_MADE = {
    Reason.RESERVED_ELSEWHERE,
    Reason.WRONG_MERCHANT,
    Reason.REVOKED,
    Reason.GIVEN_AWAY,
    Reason.STORED_ELSEWHERE,
}
# Said by services when they cannot even ask a rule; they carry no facts.
SAID_BY_SERVICES = {
    Reason.NO_CONSENT,
    Reason.UNKNOWN_CAMPAIGN,
    Reason.TOO_BUSY,
    Reason.STORE_FULL,
    Reason.UNKNOWN_MEMBER_CODE,
}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def facts_of(refusal: Refusal) -> dict[str, str]:
    """As a page would fill them in; the formats are the page's."""
    amounts = {name: f"{minor / 100:.2f} {refusal.currency}" for name, minor in refusal.amounts_minor.items()}
    instants = {name: f"at {instant}" for name, instant in refusal.instants_ms.items()}
    return {**refusal.words, **amounts, **instants}


def every_sentence() -> Iterator[tuple[Reason, str, str]]:
    for language, catalogue in CATALOGUE.items():
        for reason, said in catalogue.items():
            for text in said:
                yield reason, language, text


def test_every_reason_has_words_in_every_language() -> None:
    assert set(CATALOGUE) == set(LANGUAGES)
    for language, catalogue in CATALOGUE.items():
        assert set(catalogue) == set(Reason), language
        for reason, said in catalogue.items():
            assert said.cashier.strip(), (language, reason)
            assert said.shopper.strip(), (language, reason)


@pytest.mark.parametrize("reason", list(Reason))
def test_a_remedy_is_given_in_all_languages_or_in_none(reason: Reason) -> None:
    assert len({bool(catalogue[reason].remedy) for catalogue in CATALOGUE.values()}) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_that_a_rule_makes_can_be_said(language: str) -> None:
    for refusal in made_by_the_rules():
        said = sentences(refusal.reason, language, facts_of(refusal))
        assert not any("{" in text for text in said)


def test_the_rules_make_every_reason_that_a_store_can_have() -> None:
    made = {refusal.reason for refusal in made_by_the_rules()}
    assert made == set(Reason) - NOT_YET_MADE - SAID_BY_SERVICES


def test_reasons_that_carry_no_facts_ask_for_none() -> None:
    for reason, language, text in every_sentence():
        if reason in NOT_YET_MADE | SAID_BY_SERVICES:
            assert placeholders(text) == set(), (reason, language)


def test_the_contracts_reasons_are_all_there() -> None:
    contract = """not_ours damaged forged expired not_yet_valid already_redeemed reserved_elsewhere voided wrong_branch
        wrong_merchant revoked given_away below_min_spend limit_reached needs_line unknown_code campaign_stopped
        too_many_tries stored_elsewhere"""
    assert set(contract.split()) <= {reason.value for reason in Reason}
