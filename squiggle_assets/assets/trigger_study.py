"""The graph of a study that follows its triggers up: which nodes it has. Not here: any of them."""

from __future__ import annotations

from squiggle_assets.assets import analysis, attribution, curricula, effects, evidence, followups, reports, runs
from squiggle_assets.assets.node import Node
from squiggle_assets.science.spec import Study


def nodes(study: Study) -> tuple[Node, ...]:
    """Discovery as in a curriculum study up to consensus, then attribution, both later waves, effects."""
    discovery = [node for node in evidence.nodes() if node.name in ("design", "consensus", "usage_ledger")]
    first = (*curricula.nodes(), *runs.nodes(), *analysis.nodes(study), *discovery)
    return (
        *first,
        attribution.design_node(),
        *attribution.nodes(),
        *followups.nodes(study),
        *effects.nodes(),
        reports.trigger_report_node(),
    )
