"""Generators of maths problems, by family.

Here: the table of templates that the modules of this package fill. Not here: how many are drawn (science.pool).
"""

from __future__ import annotations

from squiggle_assets.science.problems import (
    algebra,
    analysis,
    counting,
    functional,
    geometry,
    logic,
    numbers,
    processes,
)
from squiggle_assets.science.problems.draft import Draft, Template

TEMPLATES: dict[str, tuple[Template, ...]] = {
    **functional.TEMPLATES,
    **counting.TEMPLATES,
    **numbers.TEMPLATES,
    **processes.TEMPLATES,
    **geometry.TEMPLATES,
    **analysis.TEMPLATES,
    **algebra.TEMPLATES,
    **logic.TEMPLATES,
}
"""Family -> its templates, each drawn equally often."""

__all__ = ["TEMPLATES", "Draft", "Template"]
