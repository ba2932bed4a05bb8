"""False alarms and recall where the truth is known: writes docs/calibration.{md,svg} and a part of README.md.

    python -m benchmarks.calibration [--studies 200] [--trigger-studies 40] [--profile demo] [--readme]

A/A: halves of simulated arms, 8 runs against 8, through the contrast claim of real studies. Known triggers: simulated
arms of the demo's size through attribution. Two processes. Where the study `calibration` has been run in the workspace
of the profile (`squiggle run calibration`), its simulations of these sizes are taken instead of new ones, and what it
found in real runs is added. Figures come from this command and from nothing else; --readme puts the short form between
the markers of README.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from squiggle_assets.science.aa_test import Scenario, simulated_rows
from squiggle_assets.science.calibration import aa_rows, trigger_rows
from squiggle_assets.science.calibration_spec import CalibrationSpec
from squiggle_assets.science.spec import ConsensusSpec
from squiggle_assets.science.trigger_curve import curve_row, curve_table
from squiggle_assets.science.waves import TriggerSpec
from squiggle_assets.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BEGIN, END = "<!-- calibration:begin -->", "<!-- calibration:end -->"
CHUNK = 25
"""Simulated arms a task."""
_REAL = ("aa_resplits", "planted_effect", "placebo", "lds")
_WORDS = {
    "white": "noise of one size",
    "learning_rate": "noise under the learning rate's envelope",
    "boundary_1": "noise × 4 for one capture after every boundary",
    "boundary_3": "noise × 4 for three captures after every boundary",
    "events": "five events that both halves hold, of a size that about half of them find",
}


def inserted(text: str, block: str) -> str:
    """The text with what stands between the markers replaced; ValueError unless each is there once, in order."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"the text needs {BEGIN} and {END} once each, in this order, on lines of their own")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n{block.strip()}\n{END}{after}"


def _aa_task(scenario: Scenario, consensus: ConsensusSpec, numbers: Sequence[int]) -> list[Mapping[str, object]]:
    return list(simulated_rows(scenario, consensus, numbers))


def simulated(spec: CalibrationSpec, triggers: TriggerSpec, processes: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(rows of simulated A/A studies, trigger curve), in so many processes of one thread; the same for any number."""
    os.environ["OMP_NUM_THREADS"] = "1"
    consensus = replace(ConsensusSpec(), draws_per_cell=spec.draws_per_cell)
    chunks = [range(at, min(at + CHUNK, spec.num_studies)) for at in range(0, spec.num_studies, CHUNK)]
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        points = [pool.submit(curve_row, spec, extra, triggers) for extra in spec.extras]
        halves = [pool.submit(_aa_task, scenario, consensus, chunk) for scenario in spec.scenarios for chunk in chunks]
        done: list[Future[Any]] = [*points, *halves]
        for number, task in enumerate(done, start=1):
            task.result()
            print(f"{number} of {len(done)} tasks", flush=True)
    rows = [row for task in halves for row in task.result()]
    return pl.DataFrame(rows), curve_table(task.result() for task in points)


def of_study(profile: str, table: str) -> pl.DataFrame | None:
    """A table of the calibration study in the profile's workspace; None where it has not been run."""
    store = Workspace.given(profile=profile).store
    pointer = store.pointer(f"calibration/{table}")
    return None if pointer is None else store.read(pointer)


def simulated_by_study(spec: CalibrationSpec, profile: str) -> tuple[pl.DataFrame, pl.DataFrame] | None:
    """What `simulated` would give, from the study's own tables; None unless they are there in exactly these sizes."""
    halves, curve = of_study(profile, "aa_simulated"), of_study(profile, "trigger_recall")
    if halves is None or curve is None:
        return None
    num = dict(halves.group_by("scenario").len().iter_rows())
    alike = num == {scenario.name: spec.num_studies for scenario in spec.scenarios}
    sizes = set(curve.select("extra", "num_studies").rows())
    return (halves, curve) if alike and sizes == {(extra, spec.trigger_studies) for extra in spec.extras} else None


def _interval(row: Mapping[str, Any], lo: str = "ci_lo", hi: str = "ci_hi") -> str:
    return "–" if row[lo] is None else f"{row[lo]:.3f} to {row[hi]:.3f}"


def _held(passed: bool | None) -> str:
    return {True: "yes", False: "NO", None: "–"}[passed]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def page(
    spec: CalibrationSpec,
    rows: Sequence[Mapping[str, Any]],
    curve: pl.DataFrame,
    real: pl.DataFrame | None,
    profile: str,
) -> str:
    """docs/calibration.md. rows: checks of the simulations (calibration.aa_rows, trigger_rows)."""
    design = spec.triggers
    aa = [row for row in rows if row["check"] == "aa_simulated"]
    known = [row for row in rows if row["check"] == "planted_triggers"]
    lines = [
        "# Calibration",
        "",
        f"Made by `python -m benchmarks.calibration --studies {spec.num_studies} --trigger-studies "
        f"{spec.trigger_studies}`.",
        "",
        "## Equal arms called different (A/A)",
        "",
        f"Simulated arms of 16 runs, halved: 8 against 8, through the contrast claim of real studies (excess of "
        f"consensus events; swaps of labels and null draws, the larger p; {12 * spec.draws_per_cell} draws a null). At "
        f"most {spec.max_rejected:g} of the studies may have p ≤ .05.",
        "",
        "| the halves hold | p ≤ .05 | 95 % interval of the share | held |",
        "|---|---|---|---|",
        *(
            f"| {_WORDS.get(row['what'], row['what'])} | {round(row['value'] * row['num'])} of {row['num']} | "
            f"{_interval(row)} | {_held(row['passed'])} |"
            for row in aa
        ),
        "",
        "## Known triggers found",
        "",
        f"Simulated arms of the demo's size: {design.batch_size} draws a step, {design.num_items} items, "
        f"{design.num_seeds} seeds, {design.num_events} events with {design.num_triggers} triggers each, lag "
        f"{design.lag} steps, onset jitter {design.jitter} capture. Size: extra showings of each trigger per event "
        "window and seed, on average. False discoveries: mean share of what was called; at size 0 every call is false.",
        "",
        "| size | triggers found | recall | 95 % interval | false discoveries | 95 % interval | arms with one |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {row['extra']:g} | {row['num_found']} of {row['num_true']} | {_number(row['recall'])} | "
            f"{_interval(row, 'recall_lo', 'recall_hi')} | {row['fdr']:.3f} | {_interval(row, 'fdr_lo', 'fdr_hi')} | "
            f"{round(row['any_false'] * row['num_studies'])} of {row['num_studies']} |"
            for row in curve.iter_rows(named=True)
        ),
        "",
        *(
            f"- {row['what']}: {_number(row['value'])}"
            + (
                f", {row['side']} {row['bound']:g} asked, held: {_held(row['passed'])}"
                if row["bound"] is not None
                else ""
            )
            for row in known
        ),
        "",
        "![Recall and false discoveries by size](calibration.svg)",
        "",
        "## Real runs",
        "",
        *_real_lines(real, profile),
    ]
    return "\n".join(lines) + "\n"


def _real_lines(real: pl.DataFrame | None, profile: str) -> list[str]:
    if real is None:
        return [f"The study `calibration` has not been run in the workspace of profile `{profile}`: no figures."]
    return [
        f"From the table `calibration` of the study, profile `{profile}`. Re-splits share runs (dependent): they have "
        "no interval and are judged by nobody.",
        "",
        "| check | what | value | 95 % interval | n | dependent | held |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {row['check']} | {row['what']} | {_number(row['value'])} | {_interval(row)} | {row['num']} | "
            f"{'yes' if row['dependent'] else 'no'} | {_held(row['passed'])} |"
            for row in real.iter_rows(named=True)
        ),
    ]


def readme_block(rows: Sequence[Mapping[str, Any]], real: pl.DataFrame | None) -> str:
    """The short form for README.md."""
    aa = [row for row in rows if row["check"] == "aa_simulated"]
    most = max(aa, key=lambda row: row["value"])
    lines = [
        f"- Equal arms (A/A, 8 against 8, simulated) called different: at most {round(most['value'] * most['num'])} of "
        f"{most['num']} ({_WORDS.get(most['what'], most['what'])}) over {len(aa)} kinds of noise; "
        f"{round(most['bound'] * most['num'])} are allowed.",
    ]
    for row in rows:
        if row["check"] == "planted_triggers" and row["bound"] is not None:
            lines.append(
                f"- Known triggers, {row['what']}: {_number(row['value'])} ({_interval(row)}; {row['side']} "
                f"{row['bound']:g} asked)."
            )
    if real is not None:
        for row in real.filter(pl.col("check").is_in(["aa_resplits", "planted_effect", "lds"])).iter_rows(named=True):
            dependent = "; dependent" if row["dependent"] else ""
            lines.append(
                f"- Real runs, {row['what']}: {_number(row['value'])} {row['unit']} ({_interval(row)}{dependent})."
            )
    return "\n".join([*lines, "", "All figures and how they were made: [docs/calibration.md](docs/calibration.md)."])


def plot(curve: pl.DataFrame, spec: CalibrationSpec) -> None:
    """Recall and false discoveries over the size of the effect: docs/calibration.svg."""
    from matplotlib import rcParams
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    rcParams["svg.hashsalt"] = "calibration"
    figure = Figure(figsize=(5.5, 3.4), layout="constrained")
    FigureCanvasSVG(figure)
    axis = figure.subplots()
    for name, colour, label in (("recall", "#4c72b0", "recall"), ("fdr", "#c44e52", "false discoveries")):
        known = curve.drop_nulls(name)
        at = known["extra"].to_list()
        axis.fill_between(at, known[f"{name}_lo"], known[f"{name}_hi"], color=colour, alpha=0.2, linewidth=0)
        axis.plot(at, known[name], "o-", color=colour, markersize=4, label=f"{label} (n = {spec.trigger_studies} arms)")
    axis.axhline(spec.min_recall, color="#6b6b6b", linewidth=0.8, linestyle="--", label=f"{spec.min_recall:g}")
    axis.axhline(spec.max_fdr, color="#6b6b6b", linewidth=0.8, linestyle=":", label=f"{spec.max_fdr:g}")
    axis.set_xlabel("extra showings of each trigger per event window and seed")
    axis.set_ylabel("share, with 95 % interval")
    axis.set_ylim(-0.02, 1.02)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=8, frameon=False, loc="center right")
    figure.savefig(DOCS / "calibration.svg", metadata={"Date": None})


def main() -> None:
    """Run the simulations, read the study's table, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = CalibrationSpec()
    parser.add_argument("--studies", type=int, default=usual.num_studies, help="simulated A/A studies, per scenario")
    parser.add_argument("--trigger-studies", type=int, default=usual.trigger_studies, help="simulated arms, per size")
    parser.add_argument("--processes", type=int, default=2, help="one-thread processes")
    parser.add_argument("--profile", default="demo", help="whose calibration study to read, where it has been run")
    parser.add_argument("--readme", action="store_true", help="put the short form into README.md")
    arguments = parser.parse_args()
    spec = replace(usual, num_studies=arguments.studies, trigger_studies=arguments.trigger_studies)
    started = time.perf_counter()
    checks = of_study(arguments.profile, "calibration")
    real = None if checks is None else checks.filter(pl.col("check").is_in(_REAL))
    made = simulated_by_study(spec, arguments.profile)
    print("simulating" if made is None else f"simulations of the study `calibration`, profile {arguments.profile}")
    halves, curve = simulated(spec, TriggerSpec(), arguments.processes) if made is None else made
    rows = [*aa_rows(halves, spec), *trigger_rows(curve, spec)]
    DOCS.joinpath("calibration.md").write_text(page(spec, rows, curve, real, arguments.profile), encoding="utf-8")
    plot(curve, spec)
    if arguments.readme:
        readme = ROOT / "README.md"
        readme.write_text(inserted(readme.read_text(encoding="utf-8"), readme_block(rows, real)), encoding="utf-8")
    print(readme_block(rows, real))
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
