"""Logic: what follows from which statements.

Here: templates of logic_proof. Not here: counting with few conditions (problems.counting).
"""

from __future__ import annotations

from itertools import permutations

import numpy as np

from squiggle_assets.science.problems.draft import Draft, Template, between, pick

PEOPLE = ("Ann", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gia", "Hugo")


def both_clubs(rng: np.random.Generator) -> Draft:
    """Inclusion and exclusion for two sets; checked by building them."""
    total, neither = between(rng, 25, 60), between(rng, 1, 9)
    first = between(rng, 10, total - neither - 1)
    both = between(rng, 1, first - 1)
    second = total - neither - first + both

    def check() -> int:
        ids = range(total - neither)
        return len(set(ids[:first]) & set(ids[len(ids) - second :]))

    return Draft(
        f"Of {total} pupils {first} sing, {second} dance and {neither} do neither. How many do both?",
        f"{total} - {neither} = {total - neither} do something. {first} + {second} - {total - neither} = {both}.",
        str(both),
        check,
    )


def pigeonhole(rng: np.random.Generator) -> Draft:
    """How many must be drawn to be sure; checked by the worst case."""
    colours, same = between(rng, 2, 12), between(rng, 2, 6)
    worst = colours * (same - 1)

    def check() -> int:
        drawn: list[int] = []
        while max((drawn.count(c) for c in range(colours)), default=0) < same:
            drawn.append(min(range(colours), key=drawn.count))
        return len(drawn)

    return Draft(
        f"A box has socks of {colours} colours. How many must be drawn to be sure of {same} of one colour?",
        f"{same - 1} of each colour is {worst}. One more: {worst + 1}.",
        str(worst + 1),
        check,
    )


def truth_teller(rng: np.random.Generator) -> Draft:
    """One liar among three: each says who it is; checked over all cases."""
    a, b, c = (PEOPLE[int(i)] for i in rng.choice(len(PEOPLE), size=3, replace=False))
    said = f'{a}: "{b} lies." {b}: "{c} is honest."'

    def check() -> str:
        fits = [liar for liar in (a, b, c) if ((liar == b) == (liar != a)) and ((liar != c) == (liar != b))]
        assert len(fits) == 1
        return fits[0]

    return Draft(
        f"Just one of {a}, {b}, {c} lies. {said} Who lies?",
        f"If {c} lied, so would {a}. If {b} lied, so would {c}. So {a} lies.",
        a,
        check,
    )


def ordering(rng: np.random.Generator) -> Draft:
    """A chain of comparisons has one order; checked over all orders."""
    order = [PEOPLE[int(i)] for i in rng.choice(len(PEOPLE), size=4, replace=False)]
    pairs = [(order[i], order[i + 1]) for i in range(3)]
    shown = [pairs[int(i)] for i in rng.permutation(3)]
    word = pick(rng, ("older", "taller", "faster"))

    def check() -> str:
        fits = [p for p in permutations(sorted(order)) if all(p.index(x) < p.index(y) for x, y in shown)]
        return fits[0][0]

    facts = ", ".join(f"{x} is {word} than {y}" for x, y in shown)
    return Draft(
        f"{facts}. Who is the {word[:-2]}est?",
        f"In a chain: {' > '.join(order)}.",
        order[0],
        check,
    )


TEMPLATES: dict[str, tuple[Template, ...]] = {"logic_proof": (both_clubs, pigeonhole, truth_teller, ordering)}
