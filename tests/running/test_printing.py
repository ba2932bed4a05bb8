"""What a terminal and a pipe get to see: nothing cut, nothing folded."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from squiggle_assets.running import listing

CLAIM: dict[str, Any] = {
    "claim": "contrast:blocked-balanced:consensus_event_excess",
    "estimate": -0.09923,
    "ci_lo": -3.612,
    "ci_hi": 3.49,
    "null_mean": 0.0,
    "p_value": 0.00167,
    "q_value": 0.00167,
    "n_seeds": 8,
    "verdict": "not supported",
}


def printed(rows: listing.Rows, *, terminal: bool, width: int = 80) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=width, color_system=None)
    listing.show(rows, console, as_json=False, title="rows")
    return file.getvalue()


def test_claims_fit_a_terminal_of_80_characters_whole() -> None:
    lines = printed(listing.short_claims([CLAIM]), terminal=True).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1].split()[:4] == ["contrast:blocked-balanced", "-0.0992", "[-3.61,", "3.49]"]
    assert lines[-1].split()[4:] == ["0", "0.00167", "8", "not", "supported"]


def test_an_outcome_is_left_out_of_the_names_only_where_all_contrasts_share_it() -> None:
    other = {**CLAIM, "claim": "contrast:ramp-iid:final_loss"}
    assert [row["claim"] for row in listing.short_claims([CLAIM, other])] == [CLAIM["claim"], other["claim"]]


def test_a_claim_without_a_number_prints_none() -> None:
    empty = {**CLAIM, "estimate": None, "ci_lo": None, "ci_hi": None, "null_mean": None, "q_value": None}
    assert listing.short_claims([empty])[0]["estimate [95 %]"] == ""
    half = {**CLAIM, "ci_lo": None}
    assert listing.short_claims([half])[0]["estimate [95 %]"] == "-0.0992 [?, 3.49]"


@pytest.mark.parametrize("width", [20, 80])
def test_a_pipe_gets_every_cell_whole_whatever_the_window(width: int) -> None:
    row = {f"column_{n}": "x" * 40 + str(n) for n in range(12)}
    text = printed([row], terminal=False, width=width)
    assert all(value in text for value in row.values())
    assert len(text.splitlines()) == 3


def test_rows_that_are_wider_than_the_window_are_printed_one_field_a_line() -> None:
    row = {"first": "a" * 50, "second": "b" * 50}
    lines = printed([row], terminal=True).splitlines()
    assert lines[-2:] == [f" first  {'a' * 50}", f"second  {'b' * 50}"]
