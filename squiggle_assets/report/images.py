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

MAX_INLINE = 100_000
"""Bytes of an image inside materialisation metadata: it lies in Dagster's database."""
_COLOURS = 96
"""Colours of an encoded image: line drawings need no more, and the bytes fall to a third."""


def png(figure: Figure, *, dpi: int = 144) -> bytes:
    """The figure as PNG with a palette, without time stamps or versions in it."""
    from PIL import Image

    full, small = io.BytesIO(), io.BytesIO()
    figure.savefig(full, format="png", dpi=dpi, pil_kwargs={"compress_level": 1})
    image = Image.open(full).convert("RGB")
    few = image.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(small, format="png", optimize=True)
    return small.getvalue()


def data_uri(image: bytes) -> str:
    """The PNG as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(image).decode('ascii')}"


def markdown_image(figure: Figure, alt: str) -> str:
    """Markdown with the image inside, at the resolution that keeps it small enough for the event log.

    alt is taken as untrusted text. ValueError if even a coarse rendering is too large.
    """
    for dpi in (100, 80, 60, 45):
        image = png(figure, dpi=dpi)
        if len(image) <= MAX_INLINE:
            return f"![{markdown_text(alt)}]({data_uri(image)})"
    raise ValueError(f"figure {alt!r} is larger than {MAX_INLINE} bytes at 45 dots an inch: draw less in it")
