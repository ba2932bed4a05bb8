"""SQL models as package data: one SELECT a file, its stem the asset's name, its leading comment the description.

Here: staging/ (raw tables made tidy), intermediate/ (joins and counts), marts/ (what people read), and their text.
Not here: parsing and order (resources.sql_models), running them (resources.warehouse), any statistic (science.stats).
"""

from __future__ import annotations

from importlib.resources import files

LAYERS = ("staging", "intermediate", "marts")
"""In order: a model may read its own layer and those before it."""


def read() -> tuple[tuple[str, str, str], ...]:
    """(layer, file stem, text) of every model, by layer and stem."""
    return tuple(
        (layer, entry.name.removesuffix(".sql"), entry.read_text(encoding="utf-8"))
        for layer in LAYERS
        for entry in sorted(files(__name__).joinpath(layer).iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".sql")
    )
