"""Held-out loss and accuracy of the arms: whether they left their floor, and what happened on either split.

Here: the table and sentences about validation. Not here: the floor check itself (science.outcomes), the figure
(study_figures).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from squiggle_assets.report.document import Block, Table, Text
from squiggle_assets.report.text import MISSING, interval, listed, mean, number
from squiggle_assets.science.outcomes import final_scores, floor_check
from squiggle_assets.science.stats import Interval, t_interval

SPLITS = {
    "val_random": "Held-out items of the training families (val_random)",
    "val_family": "Held-out families (val_family)",
}
"""Split -> what it is; the floor is checked on the first."""
STILL = "did not move clear of 0 (95 % interval over seeds)"


def blocks(scalars: pl.DataFrame, names: Sequence[str], num_items: int) -> list[Block]:
    """What happened on both splits, whether all arms left their floor, and the table of it.

    num_items: the most items of a split that a validation measures.
    """
    table, stuck = floor(scalars, names, num_items)
    if stuck:
        told = Text(
            tone="warning",
            text=f"On the floor: in {listed(stuck)} training did not move loss and accuracy on held-out items "
            "(val_random) clear of where they started. A comparison with such an arm is underpowered, whatever its "
            "events look like.",
        )
    else:
        told = Text(
            text="All arms left their floor on held-out items (val_random): loss fell and accuracy rose. The check "
            "does not look at held-out families."
        )
    return [told, *(Text(text=text) for text in _moved(scalars, names)), table]


def _moved(scalars: pl.DataFrame, names: Sequence[str]) -> list[str]:
    """One sentence a split: in which arms the loss fell, rose or did neither, from where to where."""
    said = []
    for split, words in SPLITS.items():
        ways: dict[str, list[str]] = {"fell": [], "rose": [], STILL: []}
        for arm in names:
            span = _drop(scalars, arm, f"{split}_loss")
            way = "fell" if span.lo > 0 else "rose" if span.hi < 0 else STILL
            ways[way].append(f"{arm} {_ends(scalars, arm, f'{split}_loss')}")
        parts = [
            f"{way} in {number(len(arms))} of {number(len(names))} arms ({', '.join(arms)})"
            for way, arms in ways.items()
            if arms
        ]
        said.append(f"{words}: loss {'; '.join(parts)}.")
    return said


def _drop(scalars: pl.DataFrame, arm: str, metric: str) -> Interval:
    """95 % t interval over seeds of first - last value."""
    return t_interval(np.array([first - last for first, last in final_scores(scalars, arm, metric).values()]))


def _ends(scalars: pl.DataFrame, arm: str, metric: str) -> str:
    """Mean over seeds of first and last value."""
    ends = list(final_scores(scalars, arm, metric).values())
    return " → ".join(mean(float(value)) for value in np.mean(ends, axis=0)) if ends else MISSING


def floor(scalars: pl.DataFrame, names: Sequence[str], num_items: int) -> tuple[Table, list[str]]:
    """Whether training moved held-out loss and accuracy, by arm; and the arms where it did not."""
    rows, stuck = [], []
    for arm in names:
        found = floor_check(scalars, arm)
        if not found.left:
            stuck.append(arm)
        rows.append(
            (
                arm,
                number(len(final_scores(scalars, arm, "val_random_loss"))),
                _ends(scalars, arm, "val_random_loss"),
                interval(*found.loss_drop),
                _ends(scalars, arm, "val_random_answer_acc"),
                *(interval(*found.accuracy_gains[name]) for name in sorted(found.accuracy_gains)),
                "yes" if found.left else "NO",
                _ends(scalars, arm, "val_family_loss"),
                interval(*_drop(scalars, arm, "val_family_loss")),
            )
        )
    columns = (
        *("arm", "n", "loss", "drop", "answers right", "gain: answers", "gain: tokens", "left its floor"),
        *("loss, held-out families", "its drop"),
    )
    table = Table(
        columns=columns,
        rows=rows,
        numeric=frozenset(columns) - {"arm", "left its floor"},
        caption=f"First and last validation, mean over n seeds, on at most {number(num_items)} items of a split, the "
        "same ones every time; all but the last two columns: held-out items of the training families (val_random). "
        "loss: nats per token; answers right: share of items; drop and gain: 95 % t interval over seeds. An arm left "
        "its floor if the loss fell and an accuracy rose, both intervals clear of the smallest change that counts.",
    )
    return table, stuck
