"""The number of a ledger's file in every coupon it makes."""

LEASE_NUMBER_MAX = 2**24 - 1


def draw_lease_number(random: bytes) -> int:
    """1..LEASE_NUMBER_MAX from 8 unpredictable bytes; the bias of the remainder is below 1 in 2**40."""
    return 1 + int.from_bytes(random) % LEASE_NUMBER_MAX
