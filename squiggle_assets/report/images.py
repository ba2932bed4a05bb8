"""Figures as bytes and as markdown that needs no other file.

Here: PNG encoding with fixed metadata (equal figures have equal bytes), data URIs. Not here: any figure (figures).
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from squiggle_assets.report.text import markdown_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image as Picture

MAX_INLINE = 100_000
"""Bytes of an image inside materialisation metadata: it lies in Dagster's database."""
_COLOURS = 96
"""Colours of an encoded image: line drawings need no more, and the bytes fall to a third."""


def png(figure: Figure, *, dpi: int = 144) -> bytes:
    """The figure as PNG with a palette, without time stamps or versions in it."""
    from PIL import Image

    full = io.BytesIO()
    figure.savefig(full, format="png", dpi=dpi, pil_kwargs={"compress_level": 1})
    return _encoded(Image.open(full).convert("RGB"))


def data_uri(image: bytes) -> str:
    """The PNG as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(image).decode('ascii')}"


def shrunk(image: bytes, limit: int) -> bytes:
    """The PNG made smaller until it has at most limit bytes; ValueError if that would leave nothing to see."""
    from PIL import Image

    if len(image) <= limit:
        return image
    whole = Image.open(io.BytesIO(image)).convert("RGB")
    for share in (0.7, 0.5, 0.35):
        size = round(whole.width * share), round(whole.height * share)
        small = _encoded(whole.resize(size, Image.Resampling.LANCZOS))
        if len(small) <= limit:
            return small
    raise ValueError(f"a picture of {len(image)} bytes cannot be shown in {limit}: draw less in it")


def _encoded(image: Picture) -> bytes:
    from PIL import Image

    few = image.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    few.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def markdown_image(figure: Figure, alt: str) -> str:
    """Markdown with the image inside, at the resolution that keeps it small enough for the event log.

    alt is taken as untrusted text. ValueError if even a coarse rendering is too large.
    """
    for dpi in (100, 80, 60, 45):
        image = png(figure, dpi=dpi)
        if len(image) <= MAX_INLINE:
            return f"![{markdown_text(alt)}]({data_uri(image)})"
    raise ValueError(f"figure {alt!r} is larger than {MAX_INLINE} bytes at 45 dots an inch: draw less in it")
