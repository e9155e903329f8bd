"""The base of every value that travels or is stored: frozen, and strict about unknown fields."""

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """An immutable value whose unknown fields are an error, so that a typing mistake in a file is said."""

    model_config = ConfigDict(frozen=True, extra="forbid")
