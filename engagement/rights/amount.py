"""How much of a campaign may be given out: coupons, and their worst-case cost."""

from typing import Annotated, Final

from pydantic import Field

from engagement.values import Value

AMOUNT_MAX: Final = 2**48 - 1


class Amount(Value):
    """``units`` coupons, and ``minor`` of the campaign's currency for their worst case. Never below 0."""

    units: Annotated[int, Field(ge=0, lt=2**48)] = 0
    minor: Annotated[int, Field(ge=0, lt=2**48)] = 0

    def __add__(self, other: "Amount") -> "Amount":
        """No sum is more than the most: that is beyond every budget, and only nonsense of a peer's adds up to it."""
        return Amount(
            units=min(self.units + other.units, AMOUNT_MAX), minor=min(self.minor + other.minor, AMOUNT_MAX)
        )

    def __sub__(self, other: "Amount") -> "Amount":
        """What is left; nothing of what would be below 0, as after a budget was lowered."""
        return Amount(units=max(0, self.units - other.units), minor=max(0, self.minor - other.minor))

    def covers(self, other: "Amount") -> bool:
        """Whether there is at least as much of both."""
        return self.units >= other.units and self.minor >= other.minor

    def at_least(self, other: "Amount") -> "Amount":
        """The greater of both, each for itself: how two reports of a total that only rises are joined."""
        return Amount(units=max(self.units, other.units), minor=max(self.minor, other.minor))

    def at_most(self, other: "Amount") -> "Amount":
        """The lesser of both, each for itself."""
        return Amount(units=min(self.units, other.units), minor=min(self.minor, other.minor))


NOTHING = Amount()
