import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from squiggle_assets.report.text import (
    clean,
    interval,
    listed,
    markdown_code,
    markdown_text,
    mean,
    num_seeds,
    number,
    share,
)
from tests.report.small_study import HOSTILE

RENDER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.0, "0"),
        (23.0, "23"),
        (0.04567, "0.0457"),
        (-1.5, "−1.5"),
        (12345.6, "12,346"),
    ],
)
def test_a_missing_number_is_a_dash_and_never_a_zero(value, shown):
    assert number(value) == shown


def test_a_tiny_p_is_not_shown_as_zero():
    assert share(0.0001) == "< .001"
    assert share(0.0125) == "0.013" or share(0.0125) == "0.012"


def test_an_interval_with_a_missing_end_is_no_interval():
    assert interval(1.0, None) == "–"
    assert interval(float("nan"), 2.0) == "–"
    assert interval(-1.0, 2.5) == "[−1.00, 2.50]"
    assert interval(8.0, 12.0, number) == "[8, 12]"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.0, "0"),
        (1.0, "1.00"),
        (0.9996, "1.00"),
        (-1.5, "−1.50"),
        (-2.78e-17, "0"),
        (123.4, "123"),
        (999.7, "1,000"),
    ],
)
def test_a_mean_keeps_its_zeros_so_that_it_is_no_count(value, shown):
    assert mean(value) == shown


def test_unequal_numbers_of_seeds_are_named_arm_by_arm():
    assert num_seeds({"iid": 8, "ramp": 8}) == "n = 8 seeds in each of 2 arms"
    assert num_seeds({"iid": 8, "ramp": 7}) == "n = 8 (iid), 7 (ramp) seeds"


def test_lists_read_as_a_sentence():
    assert [listed(words) for words in ([], ["a"], ["a", "b", "c"])] == ["", "a", "a, b and c"]


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
def test_escaped_markdown_renders_as_one_paragraph_of_plain_text(text):
    tokens = RENDER.parse(f"x {markdown_text(text)}")
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert {child.type for child in tokens[1].children} <= {"text", "text_special"}


@pytest.mark.parametrize(
    "text", [HOSTILE, "# not a heading", "1. no list", "- no list", "---", "~~~", "a | b", "<b>", "&lt;", "![x](y)"]
)
def test_markup_at_the_start_of_a_line_stays_text(text):
    tokens = RENDER.parse(markdown_text(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    shown = "".join(child.content for child in tokens[1].children)
    assert shown == text


def test_decimals_are_not_taken_for_list_numbers():
    assert markdown_text("2.35") == "2.35"


def test_bare_addresses_are_not_made_into_links():
    # a linkifier looks for these in the source
    escaped = markdown_text("see http://evil.example, www.evil.example and mailto:x@y.z")
    assert not [mark for mark in ("http://", "www.", "mailto:") if mark in escaped]


def test_code_cannot_close_its_own_fence():
    tokens = RENDER.parse(markdown_code("a\n```\n<script>\n````\nb"))
    assert [token.type for token in tokens] == ["fence"]


def test_invisible_and_direction_changing_characters_become_visible():
    assert clean("a\x00b\u202ec") == "a\ufffdb\ufffdc"


def test_a_text_that_is_too_long_is_cut_and_says_how_long_it_was():
    shown = clean("x" * 1_000_000)
    assert len(shown) < 21_000
    assert shown.endswith("(1,000,000 characters in all)")
