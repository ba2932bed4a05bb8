"""The figures of a study report with their captions: what is drawn, how to read it, and n.

Here: figure blocks from frames. Not here: the drawing (figures, evidence_figures), order and prose (study_report).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from squiggle_assets.report import evidence_figures, figures
from squiggle_assets.report.document import Figure
from squiggle_assets.report.images import markdown_image, png
from squiggle_assets.report.text import listed, num_seeds, number, plural
from squiggle_assets.report.timeline import Timeline

Frame = pl.DataFrame | pl.LazyFrame
TRACED = {"spectral": "effective_rank", "sparsity": "sparsity_proxy", "angle": "principal_angle"}
"""One metric of each group stands for it in the trajectories."""
_MARKS = (
    "Triangles: consensus events, up or down as they move; black where q ≤ {alpha:g}, grey where not, hollow near a "
    "boundary of the schedule. Shaded: every second curriculum phase (numbers: table of phases); yellow: planted "
    "steps; dotted: end of warm-up, start of decay."
)


def _n(frame: pl.DataFrame) -> str:
    by_arm = frame.group_by("arm", maintain_order=True).agg(pl.col("seed").n_unique())
    return num_seeds(dict(by_arm.rows()))


def claim_forest(claims: pl.DataFrame) -> Figure:
    """All claims: estimate, interval, null, verdict."""
    return Figure(
        name="claims",
        image=png(evidence_figures.claim_forest(claims)),
        alt="Estimate, interval and null value of every claim, coloured by verdict",
        caption=f"{plural(len(claims), 'claim')}. Dot: estimate; bar: 95 % interval; diamond: mean under the null; "
        "colour and words: verdict. n, the number of seeds (pairs of seeds in a contrast), stands beside each.",
    )


def outcomes(arm_outcomes: pl.DataFrame, lines: Mapping[str, Timeline]) -> Figure:
    """All outcomes by arm beside their nulls."""
    rows = arm_outcomes.filter(pl.col("arm").is_in(list(lines)))
    counts = dict(rows.group_by("arm", maintain_order=True).agg(pl.col("n_seeds").max()).rows())
    return Figure(
        name="outcomes",
        image=png(evidence_figures.outcomes(rows, arms=list(lines))),
        alt="Outcomes of every arm with intervals and null means",
        caption="Dot: observed; diamond: mean under the null; bar: 95 % interval (of the excess, drawn from the null "
        f"mean on, where there is a null; else of the mean over seeds). {num_seeds(counts)}.",
    )


def validation(scalars: pl.DataFrame, lines: Mapping[str, Timeline], num_items: int) -> Figure:
    """Held-out loss and accuracy over training, on at most num_items items of a split."""
    return Figure(
        name="validation",
        image=png(figures.validation(scalars, arms=list(lines))),
        alt="Held-out loss and answer accuracy of every arm over training",
        caption=f"Mean over seeds with 95 % t interval; {_n(scalars)}; at most {number(num_items)} items of a split, "
        "the same ones every time.",
    )


def trajectories(
    geometry: Frame, consensus: pl.DataFrame, lines: Mapping[str, Timeline], probe_set: str, alpha: float
) -> list[Figure]:
    """One metric of each group at the lowest, a middle and the highest layer."""
    of_probe = (pl.col("probe_set") == probe_set) & (pl.col("component") == "x_out")
    layers = geometry.lazy().filter(of_probe).select(pl.col("layer").unique().sort()).collect()["layer"].to_list()
    shown = sorted({layers[0], layers[len(layers) // 2], layers[-1]}) if layers else []
    wanted = of_probe & pl.col("metric").is_in(list(TRACED.values())) & pl.col("layer").is_in(shown)
    columns = ("arm", "seed", "step", "layer", "metric", "value")
    rows = geometry.lazy().filter(wanted).select(columns).collect()
    found = []
    for group, metric in TRACED.items():
        mine = rows.filter(pl.col("metric") == metric)
        if mine.is_empty():
            continue
        own = consensus.filter(pl.col("metric_group") == group)
        drawn = figures.trajectories(mine, own, metric=metric, layers=shown, lines=lines, alpha=alpha)
        found.append(
            Figure(
                name=f"trajectories_{metric}",
                image=png(drawn),
                alt=f"{metric} over training for every arm and seed",
                caption=f"{metric} ({group} group) of layers {listed([str(layer) for layer in shown])} on probe set "
                f"{probe_set}. Thin: one seed; thick: median over seeds; {_n(mine)}. {_MARKS.format(alpha=alpha)}",
            )
        )
    return found


def raster(
    events: pl.DataFrame, consensus: pl.DataFrame, lines: Mapping[str, Timeline], probe_set: str, alpha: float
) -> Figure:
    """Single change points of every run."""
    singles = events.filter(pl.col("event_type") == "change_point")
    return Figure(
        name="raster",
        image=png(figures.raster(events, consensus, lines=lines, alpha=alpha)),
        alt="Change points of every seed by arm and step, with consensus events",
        caption=f"{number(len(singles))} change points of single series on probe set {probe_set}, a line a seed; "
        f"{_n(singles)}. Red: towards more, blue: towards less (after orientation of the metrics). "
        f"{_MARKS.format(alpha=alpha)} Events are markers found by a relative threshold: any run has some.",
    )


def timeline(consensus: pl.DataFrame, lines: Mapping[str, Timeline], probe_set: str, alpha: float) -> Figure:
    """Consensus events of every arm."""
    num = dict(consensus.group_by("arm", maintain_order=True).agg(pl.col("n_seeds").max()).rows())
    by_arm = {arm: num[arm] for arm in lines if arm in num}
    return Figure(
        name="consensus_timeline",
        image=png(evidence_figures.consensus_timeline(consensus, lines=lines, alpha=alpha)),
        alt="Consensus events of every arm by step and layer band, coloured by q",
        caption=f"{plural(len(consensus), 'consensus event')} on probe set {probe_set}; {num_seeds(by_arm)}. Size: "
        "share of the seeds that support it; colour: q; shape: metric group; hollow: near a boundary of the schedule.",
    )


def nulls(null_draws: pl.DataFrame, lines: Mapping[str, Timeline], probe_set: str, by_arm: Mapping[str, int]) -> Figure:
    """Observed number of consensus events against its draws."""
    return Figure(
        name="nulls",
        image=png(evidence_figures.null_histograms(null_draws, arms=list(lines))),
        alt="Number of consensus events in the data against histograms of null draws",
        caption=f"Number of consensus events on probe set {probe_set}: line, the data; grey, the null draws (their "
        f"number stands above each panel). {num_seeds(by_arm)}. p: share of draws with at least as many.",
    )


def claims_figure_markdown(claims: pl.DataFrame) -> str:
    """The claims as one small inline image, for materialisation metadata."""
    return markdown_image(evidence_figures.claim_forest(claims), f"{len(claims)} claims")


def consensus_figure_markdown(null_draws: pl.DataFrame, *, arm: str, probe_set: str) -> str:
    """Observed count of one arm against its null draws as one small inline image, for materialisation metadata."""
    rows = null_draws.filter((pl.col("arm") == arm) & (pl.col("probe_set") == probe_set))
    return markdown_image(
        evidence_figures.null_histograms(rows, arms=[arm]), f"consensus events of {arm} and its nulls"
    )
