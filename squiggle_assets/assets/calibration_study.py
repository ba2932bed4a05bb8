"""The graph of a calibration study: which nodes it has. Not here: any of them."""

from __future__ import annotations

from squiggle_assets.assets import analysis, calibration, curricula, evidence, reports, runs, subset_runs
from squiggle_assets.assets.node import Node
from squiggle_assets.science.spec import Study


def nodes(study: Study) -> tuple[Node, ...]:
    """A curriculum study with conclusions of its own, A/A and known triggers, and runs on subsets of the items."""
    first = (*curricula.nodes(), *runs.nodes(), *analysis.nodes(study))
    usual = tuple(node for node in evidence.nodes() if node.name != "conclusions")
    return (*first, *usual, *subset_runs.nodes(), *calibration.nodes(), *reports.calibration_nodes())
