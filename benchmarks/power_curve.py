"""Size and power of the pre-registered consensus test on simulated arms: writes docs/power_curve.{md,svg}.

    python -m benchmarks.power_curve [--studies 200] [--power-studies 60] [--draws-per-cell 25]

8 seeds, 101 captures, 12 cells (4 layers correlated .9 × 3 metric groups). Not a timed test: figures that say what
the test can and cannot do, made by this command and by nothing else.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from squiggle_assets.science.simulation import NOISES, Design, SimulatedOutcome, num_rejected, studies
from squiggle_assets.science.spec import ConsensusSpec
from squiggle_assets.science.stats import rejection_share

SIZES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
DOCS = Path(__file__).resolve().parent.parent / "docs"
CORRELATIONS = (0.0, 0.9)


def _row(results: list[SimulatedOutcome], alpha: float) -> tuple[int, str]:
    hits = num_rejected(results, alpha)
    share, interval = rejection_share(hits, len(results))
    return hits, f"{share:.3f} | {interval.lo:.3f} to {interval.hi:.3f}"


def _mean(values: list[float]) -> str:
    return f"{sum(values) / len(values):.2f}"


def main() -> None:
    """Run the simulations and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200, help="simulated studies without an event, per noise")
    parser.add_argument("--power-studies", type=int, default=60, help="simulated studies per size of event")
    parser.add_argument("--draws-per-cell", type=int, default=25, help="null draws per cell (a real study: 100)")
    arguments = parser.parse_args()
    spec = replace(ConsensusSpec(), draws_per_cell=arguments.draws_per_cell)
    started, curve = time.perf_counter(), []
    lines = [
        "# Size and power of the consensus test",
        "",
        f"Made by `python -m benchmarks.power_curve --studies {arguments.studies} --power-studies "
        f"{arguments.power_studies} --draws-per-cell {arguments.draws_per_cell}`.",
        "Simulated arms: 8 seeds, 101 captures, 12 cells (4 layers × 3 metric groups). The p is the pre-registered one "
        "of an arm: the max-statistic p over all cells, the larger of the shift and the surrogate null. "
        f"{12 * arguments.draws_per_cell} draws a null.",
        "",
        "## Nothing there: how often p < .05",
        "",
        "At most 16 of 200 are allowed. The noise is the same in size in all seeds and follows the schedule as named.",
        "",
        "| noise | layer correlation | p < .05 | share | 95 % interval | events counted | null mean |",
        "|---|---|---|---|---|---|---|",
    ]
    for noise in NOISES:
        for rho in CORRELATIONS:
            results = list(studies(Design(noise=noise, layer_correlation=rho), spec, arguments.studies))
            hits, shares = _row(results, spec.alpha)
            counted = _mean([float(r.num_events) for r in results]), _mean([r.null_mean for r in results])
            lines.append(f"| {noise} | {rho} | {hits} of {len(results)} | {shares} | {counted[0]} | {counted[1]} |")
            print(lines[-1], flush=True)
    lines += [
        "",
        "## An event in every seed: power",
        "",
        "One series, one time, one sign, in every seed, earlier or later by at most one capture; white noise, layer "
        "correlation .9. Size in standard deviations of the increments.",
        "",
        "| size | p < .05 | power | 95 % interval | some cell with q < .05 |",
        "|---|---|---|---|---|",
    ]
    for size in SIZES:
        results = list(studies(Design(size=size), spec, arguments.power_studies))
        hits, shares = _row(results, spec.alpha)
        share, interval = rejection_share(hits, len(results))
        curve.append((size, share, interval.lo, interval.hi))
        cells = sum(result.q_value < spec.alpha for result in results)
        lines.append(f"| {size:g} | {hits} of {len(results)} | {shares} | {cells} of {len(results)} |")
        print(lines[-1], flush=True)
    lines += ["", "![Power by size of the event](power_curve.svg)", ""]
    DOCS.joinpath("power_curve.md").write_text("\n".join(lines), encoding="utf-8")
    _plot(curve, arguments.power_studies)
    print(f"{time.perf_counter() - started:.0f} s")


def _plot(curve: list[tuple[float, float, float, float]], num_studies: int) -> None:
    from matplotlib import rcParams
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    rcParams["svg.hashsalt"] = "power_curve"
    size, share, lo, hi = (list(column) for column in zip(*curve, strict=True))
    figure = Figure(figsize=(5.5, 3.4), layout="constrained")
    FigureCanvasSVG(figure)
    axis = figure.subplots()
    axis.fill_between(size, lo, hi, color="#4c72b0", alpha=0.2, linewidth=0, label="95 % interval")
    axis.plot(size, share, "o-", color="#4c72b0", markersize=4, label=f"power (n = {num_studies} studies a size)")
    axis.axhline(0.9, color="#6b6b6b", linewidth=0.8, linestyle="--", label="0.9")
    axis.axhline(0.05, color="#c44e52", linewidth=0.8, linestyle=":", label="alpha")
    axis.set_xlabel("event in every seed, in sd of the increments")
    axis.set_ylabel("share with p < .05")
    axis.set_ylim(-0.02, 1.02)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=8, frameon=False, loc="center right")
    figure.savefig(DOCS / "power_curve.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
