"""What does one family of problems do to the model, beside what any as many problems do?"""

from __future__ import annotations

from squiggle_assets.science.families import BY_NAME
from squiggle_assets.science.spec import Arm, Plant, Study
from squiggle_assets.studies.curriculum_ab import CURRICULUM_AB

_FAMILIES = (
    "functional_equations",
    "bijection_counting",
    "modular_arithmetic",
    "graph_recurrence",
    "invariant_monovariant",
    "cyclic_groups",
    "geometry_euclidean",
    "calculus_analysis",
)
"""The six targets and the two largest controls: no profile holds one of them out."""
_NUM_MIXTURES = 4
_EVEN = "iid_baseline"


def _mixture(number: int) -> Arm:
    return Arm(
        name=f"mixture-{number}",
        curriculum=_EVEN,
        role="placebo" if number == 1 else "baseline",
        description="As many problems as a family's arm has, drawn at random from all the families of the study.",
    )


PROBE_HARNESS = Study(
    name="probe_harness",
    kind="probes",
    title="Probe harness: one family at a time",
    hypothesis="A family of problems moves the model in a way of its own, not as any as many problems do.",
    arms=(
        *(
            Arm(name=name, curriculum=_EVEN, role="treatment", description=f"Only {name}: {BY_NAME[name].description}.")
            for name in _FAMILIES
        ),
        *(_mixture(number) for number in range(1, _NUM_MIXTURES + 1)),
        Arm(
            name="planted",
            curriculum=_EVEN,
            role="planted",
            plant=Plant(start=0.0, num_steps=60, share=1.0),
            description="Planted items for 60 steps, then a random mixture.",
        ),
    ),
    seeds=CURRICULUM_AB.seeds,
    fresh_seeds=CURRICULUM_AB.fresh_seeds,
    contrasts=(),
)
