"""The graph of a probe study: which nodes it has. Not here: any of them."""

from __future__ import annotations

from squiggle_assets.assets import analysis, evidence, probes, reports
from squiggle_assets.assets.node import Node
from squiggle_assets.science.spec import Study


def nodes(study: Study) -> tuple[Node, ...]:
    """Curricula and runs of their own kind; geometry, dynamics and the ledger as in any study."""
    of_run = [node for node in analysis.nodes(study) if node.name in ("geometry", "dynamics")]
    ledger = [node for node in evidence.nodes() if node.name == "usage_ledger"]
    return (*probes.nodes(), *of_run, *ledger, reports.probe_report_node())
