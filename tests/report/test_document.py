import re
from html.parser import HTMLParser

import pytest

from squiggle_assets.report import document as documents
from squiggle_assets.report.document import (
    Badge,
    Bullets,
    Code,
    Document,
    Facts,
    Figure,
    Finding,
    Findings,
    Section,
    Table,
    Text,
    draft,
    html,
    markdown,
    plots_markdown,
    template_digest,
)
from squiggle_assets.report.images import png
from squiggle_assets.report.style import canvas
from tests.report.small_study import HOSTILE


def picture():
    figure, axes = canvas(1, 1)
    axes[0].plot([0, 1], [0, 1])
    return png(figure)


def document(text, image=b"", name="plot"):
    blocks = [
        Text(text=text),
        Text(text=text, tone="warning"),
        Bullets(items=[text]),
        Findings(items=[Finding(verdict="supported", name=text, sentence=text, reasons=text)]),
        Facts(items={text: text}),
        Table(columns=(text, "n"), rows=[(text, "3")], caption=text, numeric=frozenset({"n"}), notes=[text]),
        Table(columns=("v",), rows=[(Badge("not supported"),)], caption=text, folded=text),
        Code(text=text, folded=text),
        Figure(name=name, image=image, alt=text, caption=text),
    ]
    return Document(title=text, subtitle=text, sections=[Section(title=text, blocks=blocks)])


class Tags(HTMLParser):
    """Every start tag with its attributes, read as a browser reads them."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def assert_inert(page):
    assert "<script" not in page.lower()
    for tag, attrs in Tags(page).found:
        assert tag not in ("script", "iframe", "object", "embed", "link", "base", "form", "svg"), tag
        assert not [name for name in attrs if name.startswith("on")], attrs
        for name in ("src", "href"):
            assert attrs.get(name, "#").startswith(("data:image/png;base64,", "#")), attrs[name]
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style and "@import" not in style


def test_hostile_text_stays_text_in_every_block_of_the_html():
    page = html(document(HOSTILE))
    assert_inert(page)
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 15


def test_the_html_forbids_scripts_and_requests_by_policy_too():
    assert """content="default-src 'none'; img-src data:; style-src 'unsafe-inline'\"""" in html(document("x"))


def test_hostile_text_stays_text_in_every_block_of_the_markdown():
    from markdown_it import MarkdownIt

    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown(document(HOSTILE)))
    assert "<script" not in page
    assert re.findall(r'<img src="([^"]*)"', page) == ["plots/plot.png"]
    assert "<a " not in page
    assert page.count("&lt;script&gt;") >= 15


def test_a_pipe_in_a_cell_does_not_make_another_column():
    text = markdown(document("a | b"))
    row = next(line for line in text.splitlines() if line.endswith("| 3 | a \\| b |"))
    assert len(re.split(r"(?<!\\)\|", row)) == 5


def test_the_image_is_inside_the_html_and_beside_the_markdown():
    made = draft(document("x", picture()), {})
    assert set(made.files) == {"report.md", "report.html", "plots/plot.png"}
    assert b"![x](plots/plot.png)" in made.files["report.md"]
    assert b'src="data:image/png;base64,' in made.files["report.html"]


def test_an_empty_cell_and_a_badge_are_told_apart():
    page = html(document("x"))
    assert '<span class="badge verdict-not-supported">not supported</span>' in page


def test_two_plots_of_one_name_are_refused():
    twice = document("x", picture())
    with pytest.raises(ValueError, match="two plots of one name"):
        draft(Document(title="t", subtitle="s", sections=[*twice.sections, *twice.sections]), {})


def test_plots_for_metadata_keep_to_their_limit():
    made = draft(document("x", picture()), {})
    whole = len(made.files["plots/plot.png"])
    shown = plots_markdown(made, limit=whole - 1)
    assert list(shown) == ["plot"]
    assert len(shown["plot"]) < 4 / 3 * whole + 60
    assert shown["plot"] != plots_markdown(made, limit=whole)["plot"]


def test_a_plot_that_cannot_be_made_small_enough_is_refused():
    with pytest.raises(ValueError, match="cannot be shown in 10"):
        plots_markdown(draft(document("x", picture()), {}), limit=10)


def test_a_changed_template_changes_the_identity_of_reports(monkeypatch):
    assert set(documents._templates()) == {"report.css.j2", "report.html.j2", "report.md.j2"}
    before = template_digest()
    changed = {**documents._templates(), "report.css.j2": "body {}"}
    monkeypatch.setattr(documents, "_templates", lambda: changed)
    assert template_digest() != before
