"""The base of every value that travels or is stored: frozen, and strict about unknown fields."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")


class Value(BaseModel):
    """An immutable value whose unknown fields are an error, so that a typing mistake in a file is said."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def at_least_one(items: tuple[T, ...]) -> tuple[T, ...]:
    """Validates a list that must not be empty; pydantic's own min_length counts a bad item as a missing one besides.

    Errors: ValueError.
    """
    if not items:
        raise ValueError("needs at least one")
    return items
