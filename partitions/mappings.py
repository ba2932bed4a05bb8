"""How partitions feed one another: written out for every pair of grains and waves, inferred for none.

Here: one function from what an input and its reader are to a mapping. Not here: which partitions these are
(assets.node says the same without Dagster; a test compares the two).
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import dagster as dg

from squiggle_assets.science.spec import Study


class Place(NamedTuple):
    """Grain and wave of an asset."""

    grain: str
    wave: str = ""


def mapping(study: Study, upstream: Place, downstream: Place, arm: str | None = None) -> dg.PartitionMapping | None:
    """The mapping of an input; None where the upstream has no partitions.

    Args:
        study: whose follow-up arms say which parent an arm of a later wave has.
        upstream: of the input asset.
        downstream: of the asset that reads it.
        arm: only this arm of an arm-grain input, whatever the reader's partition.

    Raises:
        ValueError: for a pair that no study needs and nobody has run.
    """
    if upstream.grain in ("shared", "study"):
        return None
    if arm is not None:
        if upstream.grain != "arm":
            raise ValueError(f"a fixed arm needs an arm-grain input, got {upstream.grain}")
        return dg.SpecificPartitionsPartitionMapping([arm])
    if downstream.grain in ("shared", "study"):
        return dg.AllPartitionMapping()
    if upstream.wave == downstream.wave or (upstream.wave and downstream.wave):
        return _among_same_arms(upstream, downstream)
    if not upstream.wave:
        return _from_parents(study, upstream, downstream)
    raise ValueError(f"no mapping from {upstream} to {downstream}")


def _among_same_arms(upstream: Place, downstream: Place) -> dg.PartitionMapping:
    grains = {upstream.grain, downstream.grain}
    if upstream.wave == downstream.wave and len(grains) == 1:
        return dg.IdentityPartitionMapping()
    if grains == {"arm"}:
        return dg.IdentityPartitionMapping()
    if grains == {"run", "arm"}:
        return dg.MultiToSingleDimensionPartitionMapping("arm")
    raise ValueError(f"no mapping from {upstream} to {downstream}: their seeds differ")


def _from_parents(study: Study, upstream: Place, downstream: Place) -> dg.PartitionMapping:
    children: dict[str, set[str]] = defaultdict(set)
    for followup in study.followups:
        children[followup.parent].add(followup.name)
    to_children = dg.StaticPartitionMapping(dict(children))
    if (upstream.grain, downstream.grain) == ("arm", "arm"):
        return to_children
    if (upstream.grain, downstream.grain) == ("run", "run") and downstream.wave == "followup":
        return dg.MultiPartitionMapping(
            {
                "arm": dg.DimensionPartitionMapping("arm", to_children),
                "seed": dg.DimensionPartitionMapping("seed", dg.IdentityPartitionMapping()),
            }
        )
    raise ValueError(f"no mapping from {upstream} to {downstream}: what is selected goes through `selection`")
