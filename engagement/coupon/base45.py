"""Base45 as QR codes hold it in alphanumeric mode: two bytes in three characters. Source: RFC 9285."""

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUE = {character: value for value, character in enumerate(ALPHABET)}


def encode(data: bytes) -> str:
    """Errors: ValueError for an odd number of bytes; our tokens are even, and no second form is needed."""
    if len(data) % 2:
        raise ValueError(f"an even number of bytes is needed, got {len(data)}")
    out: list[str] = []
    for index in range(0, len(data), 2):
        number = data[index] << 8 | data[index + 1]
        number, first = divmod(number, 45)
        third, second = divmod(number, 45)
        out += (ALPHABET[first], ALPHABET[second], ALPHABET[third])
    return "".join(out)


def decode(text: str) -> bytes:
    """Errors: ValueError for a length that is no multiple of 3, a foreign character or a value above 65535."""
    if len(text) % 3:
        raise ValueError(f"length {len(text)} is no multiple of 3")
    out = bytearray()
    for index in range(0, len(text), 3):
        try:
            first, second, third = (_VALUE[character] for character in text[index : index + 3])
        except KeyError as missing:
            raise ValueError(f"{missing.args[0]!r} is no base45 character") from None
        number = first + 45 * second + 2025 * third
        if number > 0xFFFF:
            raise ValueError(f"{text[index : index + 3]!r} encodes {number}, above 65535")
        out += number.to_bytes(2, "big")
    return bytes(out)
