"""Reads codes off camera frames. Frames are grey pixels, so that no image decoder is needed here."""

import asyncio
from typing import Any

# A frame of the till's page is 640 pixels wide; more pixels cost time and read no more codes.
FRAME_PIXELS_MAX = 1280 * 960
FRAME_SIDE_MIN = 32
# The longest code that anybody would read at a till.
_TEXT_CHARS_MAX = 512
# One frame is read at a time, others wait their turn; a page never has more than one on its way.
_WAITING_MAX = 8


class FrameRefused(ValueError):
    """The frame is no picture of the size that it says; the message names what is wrong and what is allowed."""


class TooManyFrames(Exception):
    """Others are being read; the page sends another one anyway."""


class FrameReader:
    """Loads the reading library with the first frame: stores without a camera never pay for it."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def read(self, pixels: bytes, width: int, height: int) -> list[str]:
        """The texts of the QR and Code-128 codes in a frame, row by row from the top left.

        Errors: FrameRefused, TooManyFrames.
        """
        if min(width, height) < FRAME_SIDE_MIN or width * height > FRAME_PIXELS_MAX:
            raise FrameRefused(
                f"size: {width} x {height}, must be at least {FRAME_SIDE_MIN} each and at most {FRAME_PIXELS_MAX} pixels"
            )
        if len(pixels) != width * height:
            raise FrameRefused(f"pixels: {len(pixels)} bytes, must be {width} x {height}, one byte each")
        if self._waiting >= _WAITING_MAX:
            raise TooManyFrames
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(_read, pixels, width, height)
        finally:
            self._waiting -= 1


def _read(pixels: bytes, width: int, height: int) -> list[str]:
    import zxingcpp  # at first use, see FrameReader

    formats: Any = [zxingcpp.BarcodeFormat.QRCode, zxingcpp.BarcodeFormat.Code128]
    image = memoryview(pixels).cast("B", (height, width))
    found = zxingcpp.read_barcodes(image, formats=formats, text_mode=zxingcpp.TextMode.Plain)
    return [barcode.text for barcode in found if barcode.valid and 0 < len(barcode.text) <= _TEXT_CHARS_MAX]
