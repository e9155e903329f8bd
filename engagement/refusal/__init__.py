"""Why something is refused: stable reasons, and the sentences that people read."""
