"""HQ's estate from its JSON, branch by branch, because the text of ten thousand is best never in memory as a whole tree.

What is equal to what people wrote down is kept once, which halves what a plan of a large chain takes.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from engagement.estate.branch import Branch
from engagement.estate.estate import Estate, EstateBranch
from engagement.ids import BranchCode


class NoEstate(ValueError):
    """The text is none of an estate."""


def estate_of(text: str, like: Mapping[BranchCode, Branch]) -> Estate:
    """``like``: branches that the estate's may share their beacons with. Errors: NoEstate."""
    try:
        branches: list[EstateBranch] = []
        rest: dict[str, Any] = {}
        for key, value in _items(text):
            if key == "branches":
                branches.append(_shared(EstateBranch.model_validate(value), like))
            else:
                rest[key] = value
        return Estate.model_validate({**rest, "branches": tuple(branches)})
    except (ValueError, ValidationError) as strange:
        raise NoEstate("HQ's answer is no estate that this version understands") from strange


def _shared(each: EstateBranch, like: Mapping[BranchCode, Branch]) -> EstateBranch:
    known = like.get(each.branch.code)
    if known is None or known.beacons != each.branch.beacons:
        return each
    branch = known if known == each.branch else each.branch.model_copy(update={"beacons": known.beacons})
    return each.model_copy(update={"branch": branch})


def _items(text: str) -> Iterator[tuple[str, Any]]:
    """Keys and values of the object; ``branches`` once per branch. Errors: ValueError."""
    decoder = json.JSONDecoder()
    at = _expect(text, 0, "{")
    while not text.startswith("}", at):
        key, at = decoder.raw_decode(text, at)
        at = _expect(text, at, ":")
        if key == "branches":
            at = _expect(text, at, "[")
            while not text.startswith("]", at):
                value, at = decoder.raw_decode(text, at)
                yield key, value
                at = _past_comma(text, at, "]")
            at += 1
        else:
            value, at = decoder.raw_decode(text, at)
            yield key, value
        at = _past_comma(text, _past_space(text, at), "}")


def _past_space(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\n", "\r", "\t"):
        at += 1
    return at


def _expect(text: str, at: int, mark: str) -> int:
    """Past the mark and the space around it."""
    at = _past_space(text, at)
    if not text.startswith(mark, at):
        raise ValueError(f"no {mark} at {at}")
    return _past_space(text, at + 1)


def _past_comma(text: str, at: int, end: str) -> int:
    at = _past_space(text, at)
    return at if text.startswith(end, at) else _expect(text, at, ",")
