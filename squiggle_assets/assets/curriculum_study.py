"""The graph of a curriculum study: which nodes it has. Not here: any of them."""

from __future__ import annotations

from squiggle_assets.assets import analysis, attribution, curricula, evidence, overlap, probes, reports, runs
from squiggle_assets.assets.node import Node
from squiggle_assets.science.spec import Study


def nodes(study: Study) -> tuple[Node, ...]:
    """All nodes of a study's own."""
    return (
        *curricula.nodes(),
        *runs.nodes(),
        *analysis.nodes(study),
        *evidence.nodes(),
        *attribution.nodes(),
        *overlap.nodes(),
        probes.correlation_node(),
        *reports.nodes(),
    )
