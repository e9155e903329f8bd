"""Draws codes as QR symbols, for pages (SVG) and for saving (PNG).

Error correction stays at level L, so that a coupon's 153 characters fit version 5: large modules matter more on a
phone's screen than surviving scratches, which screens do not have.
"""

from io import BytesIO

import segno

# The light frame that the standard asks for around a symbol, in modules.
_QUIET_ZONE = 4


def _symbol(text: str) -> segno.QRCode:
    return segno.make(text, error="l", boost_error=False, micro=False)


def qr_svg(text: str) -> str:
    """One ``<svg>`` element without size or XML declaration, to stand inside a page or to be served alone.

    Black on white including the quiet zone, whatever the page's colours: many scanners read no inverted symbol.
    Errors: ValueError when the text fits no QR code.
    """
    image = BytesIO()
    _symbol(text).save(
        image,
        kind="svg",
        border=_QUIET_ZONE,
        dark="#000",
        light="#fff",
        xmldecl=False,
        omitsize=True,
        svgclass=None,
        lineclass=None,
        nl=False,
    )
    return image.getvalue().decode()


def qr_png(text: str, scale: int) -> bytes:
    """A PNG with ``scale`` pixels a module. Errors: ValueError when the text fits no QR code."""
    image = BytesIO()
    _symbol(text).save(image, kind="png", scale=scale, border=_QUIET_ZONE)
    return image.getvalue()
