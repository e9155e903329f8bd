"""How long to wait before trying again: a pure function of the attempt and of entropy."""

# First wait and longest wait, seconds: quick enough that a restarted bluetoothd is noticed, slow enough for the log.
_FIRST_S = 0.5
_LONGEST_S = 30.0


def backoff_s(attempt: int, entropy: bytes) -> float:
    """Seconds before attempt ``attempt`` (1 is the first repeat): doubling, between half and all of it by entropy."""
    whole_s: float = min(_FIRST_S * 2 ** min(attempt - 1, 16), _LONGEST_S)
    return whole_s * (0.5 + entropy[0] / 510)
