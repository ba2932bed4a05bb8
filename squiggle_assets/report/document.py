"""A report as a value (sections of blocks) and its two forms: Markdown with plots beside it, one self-contained HTML.

Here: the blocks and their rendering. All text in a block is untrusted: both forms escape it. Not here: what a report
says (study_report, run_report), figures, any path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from squiggle_assets.report.images import data_uri, shrunk
from squiggle_assets.report.style import VERDICTS
from squiggle_assets.report.text import Safe, clean, markdown_code, markdown_text
from squiggle_assets.schemas.handles import HandleDraft
from squiggle_assets.science.canonical import short_hash

if TYPE_CHECKING:
    from jinja2 import Environment


class Badge(str):
    """A verdict in a table cell."""

    is_badge = True


@dataclass(frozen=True, kw_only=True)
class Text:
    """One paragraph."""

    kind: ClassVar[str] = "text"
    text: str
    tone: Literal["plain", "lead", "note", "warning", "good"] = "plain"


@dataclass(frozen=True, kw_only=True)
class Bullets:
    """A list of sentences."""

    kind: ClassVar[str] = "bullets"
    items: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A verdict, what it says, and why."""

    verdict: str
    name: str
    sentence: str
    reasons: str


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Verdicts in full sentences."""

    kind: ClassVar[str] = "findings"
    items: Sequence[Finding]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Labels and their values."""

    kind: ClassVar[str] = "facts"
    items: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of cells; a Badge is shown as a verdict."""

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    numeric: frozenset[str] = frozenset()
    """Columns of numbers: set to the right."""
    folded: str | None = None
    """Title under which the HTML folds the table away."""
    notes: Sequence[str] = ()
    """One a row, or none: prose too long for a column, under its row in HTML, a last column in Markdown."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A plot with a caption that states n."""

    kind: ClassVar[str] = "figure"
    name: str
    """File name without folder and ending: [a-z0-9_]."""
    image: bytes
    alt: str
    caption: str


@dataclass(frozen=True, kw_only=True)
class Code:
    """Text shown as it is written."""

    kind: ClassVar[str] = "code"
    text: str
    folded: str


_LONG_WORD = 28
"""Characters from which on a word in a cell may be broken anywhere, so that a hash does not widen the table."""

Block = Text | Bullets | Findings | Facts | Table | Figure | Code


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """Name of the section inside the HTML page."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True, kw_only=True)
class Document:
    """A whole report."""

    title: str
    subtitle: str
    sections: Sequence[Section]

    @property
    def figures(self) -> list[Figure]:
        """All plots in order."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Figure)]


def _escaped(value: Any) -> str:
    return value if isinstance(value, Safe) else markdown_text(str(value))


@cache
def _markdown() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # every expression is escaped on its way out unless it is Safe, so no block can forget it
    environment = Environment(
        loader=PackageLoader("squiggle_assets.report"),
        finalize=_escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(code=markdown_code, plot=_plot)
    return environment


@cache
def _html() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("squiggle_assets.report"),
        autoescape=True,
        finalize=lambda value: clean(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["data_uri"] = lambda image: Safe(data_uri(image))
    environment.tests["unbreakable"] = lambda cell: max(map(len, cell.split()), default=0) > _LONG_WORD
    return environment


def _plot(figure: Figure) -> Safe:
    return Safe(f"plots/{figure.name}.png")


def markdown(document: Document) -> str:
    """The report as Markdown; plots are plots/<name>.png beside it."""
    text = _markdown().get_template("report.md.j2").render(document=document)
    return re.sub(r"\n{3,}", "\n\n", text)


def html(document: Document) -> str:
    """The report as one HTML page: images inside, no scripts, nothing fetched (a content policy forbids both)."""
    return _html().get_template("report.html.j2").render(document=document, verdicts=VERDICTS)


def _templates() -> dict[str, str]:
    folder = resources.files("squiggle_assets.report").joinpath("templates")
    return {entry.name: entry.read_text(encoding="utf-8") for entry in folder.iterdir()}


def template_digest() -> str:
    """16 hex digits that change when a template does: part of a report's identity beside its code version."""
    return short_hash(_templates())


def plots_markdown(document: HandleDraft, *, limit: int = 60_000) -> dict[str, str]:
    """Name -> markdown with the plot inside, of every plot of a report, for materialisation metadata.

    limit: bytes of an image; larger ones are scaled down.
    """
    plots = {name: image for name, image in document.files.items() if name.endswith(".png")}
    stems = {name: name.removeprefix("plots/").removesuffix(".png") for name in plots}
    return {stems[name]: f"![{stems[name]}]({data_uri(shrunk(image, limit))})" for name, image in plots.items()}


def draft(document: Document, meta: Mapping[str, Any]) -> HandleDraft:
    """report.md, report.html and plots/*.png, ready to be stored; ValueError if two plots share a name."""
    names = [figure.name for figure in document.figures]
    if len(set(names)) != len(names):
        raise ValueError(f"two plots of one name in {names}")
    files = {f"plots/{figure.name}.png": figure.image for figure in document.figures}
    files["report.md"] = markdown(document).encode()
    files["report.html"] = html(document).encode()
    return HandleDraft(files=files, meta=meta)
