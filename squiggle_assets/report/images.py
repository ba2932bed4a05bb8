"""Figures as bytes and as markdown that needs no other file.

Here: PNG encoding with fixed metadata (equal figures have equal bytes), data URIs. Not here: any figure (figures).
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_INLINE = 100_000
"""Bytes of an image inside materialisation metadata: it lies in Dagster's database."""


def png(figure: Figure, *, dpi: int = 110) -> bytes:
    """The figure as PNG, without time stamps or versions in it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def data_uri(image: bytes) -> str:
    """The PNG as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(image).decode('ascii')}"


def markdown_image(figure: Figure, alt: str) -> str:
    """Markdown with the image inside, at the resolution that keeps it small enough for the event log.

    ValueError if even a coarse rendering is too large.
    """
    for dpi in (80, 60, 45):
        image = png(figure, dpi=dpi)
        if len(image) <= MAX_INLINE:
            return f"![{alt}]({data_uri(image)})"
    raise ValueError(f"figure {alt!r} is larger than {MAX_INLINE} bytes at 45 dots an inch: draw less in it")
