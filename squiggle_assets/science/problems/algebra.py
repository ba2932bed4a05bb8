"""Algebra: unknowns, polynomials, bounds, and what fits nowhere else.

Here: templates of algebra_polynomials, inequalities and misc_other. Not here: unknown functions
(problems.functional).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from squiggle_assets.science.problems.draft import Draft, Template, between, distinct, pick, polynomial, signed


def larger_root(rng: np.random.Generator) -> Draft:
    """A quadratic with integer roots; checked by trying integers."""
    p, q = distinct(rng, -9, 12, 2)
    text = polynomial([1, -p - q, p * q])
    return Draft(
        f"Find the larger root of {text} = 0.",
        f"{text} = ({polynomial([1, -p])})({polynomial([1, -q])}). The roots are {p} and {q}.",
        str(q),
        lambda: max(x for x in range(-100, 101) if x * x - (p + q) * x + p * q == 0),
    )


def two_unknowns(rng: np.random.Generator) -> Draft:
    """Sum and difference; checked over all pairs."""
    x, y = between(rng, 10, 60), between(rng, 1, 40)
    total, difference = x + y, x - y
    return Draft(
        f"x + y = {total} and x - y = {difference}. Find x.",
        f"Add: 2x = {total}{signed(difference)} = {2 * x}. x = {x}.",
        str(x),
        lambda: next(a for a in range(-200, 201) if a - (total - a) == difference),
    )


def remainder_theorem(rng: np.random.Generator) -> Draft:
    """Remainder of a cubic by x - t is its value there; checked by long division."""
    coefficients = [1, between(rng, -5, 5), between(rng, -5, 5), between(rng, -9, 9)]
    t = between(rng, 1, 4)
    powers = [c * t ** (3 - i) for i, c in enumerate(coefficients)]

    def check() -> int:
        rest = list(coefficients)
        for i in range(3):
            rest[i + 1] += rest[i] * t
        return rest[3]

    return Draft(
        f"Find the remainder of {polynomial(coefficients)} divided by x - {t}.",
        f"Put x = {t}: {powers[0]}{''.join(signed(p) for p in powers[1:])} = {sum(powers)}.",
        str(sum(powers)),
        check,
    )


def expand(rng: np.random.Generator) -> Draft:
    """Expand a product of two linear factors; checked by evaluating at three points."""
    a, c = between(rng, 1, 5), between(rng, 1, 5)
    b, d = pick(rng, (-1, 1)) * between(rng, 1, 9), pick(rng, (-1, 1)) * between(rng, 1, 9)
    middle = a * d + b * c

    def check() -> str:
        y = [(a * x + b) * (c * x + d) for x in (-1, 0, 1)]
        return polynomial([(y[0] + y[2]) // 2 - y[1], (y[2] - y[0]) // 2, y[1]])

    return Draft(
        f"Expand ({polynomial([a, b])})({polynomial([c, d])}).",
        f"x^2: {a * c}. x: {a * d}{signed(b * c)} = {middle}. Constant: {b * d}.",
        polynomial([a * c, middle, b * d]),
        check,
    )


def ages(rng: np.random.Generator) -> Draft:
    """A multiple and a total; checked by trying."""
    k, x = between(rng, 2, 6), between(rng, 3, 25)
    total = (k + 1) * x
    return Draft(
        f"Mia is {k} times as old as Leo. Together they are {total}. How old is Leo?",
        f"{k}x + x = {k + 1}x = {total}. x = {total}/{k + 1} = {x}.",
        str(x),
        lambda: next(a for a in range(total) if a + k * a == total),
    )


def least_integer(rng: np.random.Generator) -> Draft:
    """The least n beyond a bound; checked by trying."""
    a, b, bound = between(rng, 2, 15), between(rng, -20, 40), between(rng, 60, 300)
    answer = (bound - b) // a + 1
    return Draft(
        f"Find the least integer n with {a}n{signed(b)} > {bound}.",
        f"n > {bound - b}/{a}. {a} * {answer - 1} = {a * (answer - 1)} is not enough, so n = {answer}.",
        str(answer),
        lambda: next(n for n in range(1, 500) if a * n + b > bound),
    )


def integers_between(rng: np.random.Generator) -> Draft:
    """How many integers solve |x - a| < b; checked by trying."""
    a, b = between(rng, -30, 60), between(rng, 2, 40)
    low, high = a - b + 1, a + b - 1
    return Draft(
        f"How many integers x satisfy |x{signed(-a)}| < {b}?",
        f"{low} <= x <= {high}, so there are {2 * b - 1}.",
        str(2 * b - 1),
        lambda: sum(abs(x - a) < b for x in range(-200, 201)),
    )


def mean_bound(rng: np.random.Generator) -> Draft:
    """The sum x + c^2/x is at least 2c for positive x; checked over fractions around c."""
    c, k = between(rng, 2, 20), between(rng, 0, 15)
    return Draft(
        f"What is the least value of x + {c * c}/x{signed(k)} for x > 0?",
        f"x + {c * c}/x >= 2 * {c} = {2 * c} by means. {2 * c}{signed(k)} = {2 * c + k}."
        if k
        else f"x + {c * c}/x >= 2 * {c} = {2 * c} by means.",
        str(2 * c + k),
        lambda: min(Fraction(n, 2) + Fraction(2 * c * c, n) + k for n in range(1, 6 * c)),
    )


def percent_of(rng: np.random.Generator) -> Draft:
    """A percentage; checked by hundredths."""
    percent, whole = 5 * between(rng, 1, 19), 20 * between(rng, 2, 45)
    return Draft(
        f"What is {percent} percent of {whole}?",
        f"{percent} * {whole} = {percent * whole}. {percent * whole}/100 = {percent * whole // 100}.",
        str(percent * whole // 100),
        lambda: Fraction(percent, 100) * whole,
    )


def conversion(rng: np.random.Generator) -> Draft:
    """Hours and minutes; checked by counting down."""
    hours, minutes = between(rng, 2, 30), between(rng, 1, 59)
    total = 60 * hours + minutes
    return Draft(
        f"How many minutes are {hours} hours and {minutes} minutes?",
        f"{hours} * 60 = {hours * 60}. {hours * 60} + {minutes} = {total}.",
        str(total),
        lambda: len(range(0, hours * 60)) + len(range(minutes)),
    )


def operations(rng: np.random.Generator) -> Draft:
    """Order of operations; checked by repeated addition."""
    a, b, c, d = between(rng, 2, 60), between(rng, 2, 15), between(rng, 2, 15), between(rng, 2, 60)
    sign = pick(rng, (1, -1))
    value = a + b * c + sign * d
    return Draft(
        f"Compute {a} + {b} * {c}{signed(sign * d)}.",
        f"{b} * {c} = {b * c}. {a} + {b * c} = {a + b * c}. {a + b * c}{signed(sign * d)} = {value}.",
        str(value),
        lambda: sum([a, *([b] * c), sign * d]),
    )


def new_operation(rng: np.random.Generator) -> Draft:
    """A made-up operation; checked by repeated addition."""
    k, m, a, b = between(rng, 2, 9), between(rng, 2, 9), between(rng, 2, 20), between(rng, 2, 20)
    return Draft(
        f"Let a o b = {k}a + {m}b. Compute {a} o {b}.",
        f"{k} * {a} = {k * a} and {m} * {b} = {m * b}. {k * a} + {m * b} = {k * a + m * b}.",
        str(k * a + m * b),
        lambda: sum([a] * k) + sum([b] * m),
    )


TEMPLATES: dict[str, tuple[Template, ...]] = {
    "algebra_polynomials": (larger_root, two_unknowns, remainder_theorem, expand, ages),
    "inequalities": (least_integer, integers_between, mean_bound),
    "misc_other": (percent_of, conversion, operations, new_operation),
}
