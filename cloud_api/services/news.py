"""How often something changed that people look at: who watches compares two looks, and nobody is told what."""


class News:
    """``count`` only rises."""

    def __init__(self) -> None:
        self.count = 0

    def tell(self) -> None:
        self.count += 1
