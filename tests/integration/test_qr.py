"""Our QR symbols, read back by a scanner's library."""

from io import BytesIO

import pytest
import zxingcpp
from PIL import Image

from edge_agent.adapters.qr import qr_png, qr_svg
from engagement.coupon.token import token_text

TOKEN = token_text(bytes(range(36)), bytes(range(64)))


def test_a_coupon_fits_version_5_with_level_l() -> None:
    with Image.open(BytesIO(qr_png(TOKEN, 4))) as image:
        (found,) = zxingcpp.read_barcodes(image.convert("L"))
        # Version 5 has 37 modules a side, and the quiet zone 4 on each.
        assert image.width == 4 * (37 + 2 * 4)
    assert found.ec_level == "L"


@pytest.mark.parametrize("text", [TOKEN, "https://store.example/", "12345678901234567890"])
def test_the_png_reads_back(text: str) -> None:
    with Image.open(BytesIO(qr_png(text, 4))) as image:
        found = zxingcpp.read_barcodes(image.convert("L"))
    assert [code.text for code in found] == [text]


def test_the_svg_stands_alone_and_brings_its_own_white_ground() -> None:
    svg = qr_svg(TOKEN)
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 45 45">')
    assert svg.endswith("</svg>")
    assert '<path fill="#fff" d="M0 0h45v45h-45z"/>' in svg
