"""The graph of a study that builds a curriculum from what it found: which nodes it has. Not here: any of them."""

from __future__ import annotations

from squiggle_assets.assets import analysis, attribution, curricula, evidence, impact, impact_outcomes, reports, runs
from squiggle_assets.assets.node import Node
from squiggle_assets.science.spec import Study


def nodes(study: Study) -> tuple[Node, ...]:
    """Discovery as in a curriculum study up to consensus, attribution, the core, runs on fresh seeds, claims."""
    discovery = [node for node in evidence.nodes() if node.name in ("design", "consensus", "usage_ledger")]
    first = (*curricula.nodes(), *runs.nodes(), *analysis.nodes(study), *discovery, *attribution.nodes())
    return (*first, *impact.nodes(), *impact_outcomes.nodes(study), reports.impact_report_node())
