"""Functional equations: a function is given by a rule it obeys; find one of its values.

Here: templates of the family functional_equations, the sources' largest. Not here: plain equations in an unknown
number (problems.algebra).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from squiggle_assets.science.problems.draft import Draft, Template, between, distinct, pick, polynomial, signed

NAMES = ("f", "g", "h", "p", "q")


def additive(rng: np.random.Generator) -> Draft:
    """Cauchy's equation over the integers, one value known."""
    f, slope, known, asked = pick(rng, NAMES), between(rng, 2, 15), between(rng, 2, 9), between(rng, 10, 60)
    value = slope * known

    def check() -> int:
        one = next(v for v in range(value + 1) if sum([v] * known) == value)
        table = [0]
        for _ in range(asked):
            table.append(table[-1] + one)
        return table[asked]

    return Draft(
        f"{f}(x + y) = {f}(x) + {f}(y) and {f}({known}) = {value}. Find {f}({asked}).",
        f"{f}(1) = {value}/{known} = {slope}. {f}({asked}) = {asked} * {slope} = {asked * slope}.",
        str(asked * slope),
        check,
    )


def multiplicative(rng: np.random.Generator) -> Draft:
    """The exponential equation: values multiply when arguments add."""
    f, base, asked = pick(rng, NAMES), between(rng, 2, 12), between(rng, 3, 5)

    def check() -> int:
        value = 1
        for _ in range(asked):
            value = sum(value for _ in range(base))
        return value

    return Draft(
        f"{f}(x + y) = {f}(x) {f}(y) and {f}(1) = {base}. Find {f}({asked}).",
        f"{f}(n) = {f}(1)^n. {f}({asked}) = {base}^{asked} = {base**asked}.",
        str(base**asked),
        check,
    )


def inverse_value(rng: np.random.Generator) -> Draft:
    """A linear function and its value: which argument?"""
    f, a, x, b = pick(rng, NAMES), between(rng, 2, 15), between(rng, 2, 40), pick(rng, (-1, 1)) * between(rng, 1, 30)
    value = a * x + b
    return Draft(
        f"{f}(x) = {polynomial([a, b])}. For which x is {f}(x) = {value}?",
        f"{polynomial([a, b])} = {value}, so {a}x = {value - b} and x = {value - b}/{a} = {x}.",
        str(x),
        lambda: next(n for n in range(1000) if a * n + b == value),
    )


def composition(rng: np.random.Generator) -> Draft:
    """f(g(n)) of two linear functions; checked by composing them first."""
    a, c = between(rng, 2, 9), between(rng, 2, 9)
    b, d, n = between(rng, -12, 12), between(rng, -12, 12), between(rng, 1, 12)
    inner = c * n + d
    outer = a * inner + b
    return Draft(
        f"f(x) = {polynomial([a, b])} and g(x) = {polynomial([c, d])}. Find f(g({n})).",
        f"g({n}) = {c * n}{signed(d)} = {inner}. f({inner}) = {a * inner}{signed(b)} = {outer}.",
        str(outer),
        lambda: (a * c) * n + (a * d + b),
    )


def reflected(rng: np.random.Generator) -> Draft:
    """f(x) + k f(c - x) is known: two equations at n and c - n; checked by finding the linear f itself."""
    u, v = between(rng, 1, 7), between(rng, -9, 9)
    k, c, n = pick(rng, (2, 3)), between(rng, 1, 9), between(rng, 0, 9)
    n += 2 * n == c
    slope, constant = u * (1 - k), v * (1 + k) + k * u * c
    left, right = slope * n + constant, slope * (c - n) + constant
    value = (left - k * right) // (1 - k * k)

    def check() -> Fraction:
        found_u = Fraction(slope, 1 - k)
        found_v = (constant - k * found_u * c) / Fraction(1 + k)
        return found_u * n + found_v

    return Draft(
        f"f(x) + {k}f({c} - x) = {polynomial([slope, constant])}. Find f({n}).",
        f"a = f({n}), b = f({c - n}): a + {k}b = {left}, b + {k}a = {right}. "
        f"{k * k - 1}a = {k * right}{signed(-left)} = {k * right - left}, a = {value}.",
        str(value),
        check,
    )


def steps(rng: np.random.Generator) -> Draft:
    """A constant step per unit of the argument."""
    f, start, step, n = pick(rng, NAMES), between(rng, -20, 40), between(rng, 2, 19), between(rng, 8, 60)

    def check() -> int:
        value = start
        for _ in range(n):
            value += step
        return value

    return Draft(
        f"{f}(x + 1) = {f}(x) + {step} and {f}(0) = {start}. Find {f}({n}).",
        f"{n} steps of {step} add {n * step}. {f}({n}) = {start} + {n * step} = {start + n * step}.",
        str(start + n * step),
        check,
    )


def logarithmic(rng: np.random.Generator) -> Draft:
    """Products become sums: f of p^i q^j; checked by dividing the primes out."""
    p, q = pick(rng, ((2, 3), (2, 5), (3, 5), (2, 7), (3, 7)))
    i, j = between(rng, 1, 3), between(rng, 1, 2)
    a, b = between(rng, 2, 12), between(rng, 2, 15)
    number, value = p**i * q**j, i * a + j * b

    def check() -> int:
        rest, total = number, 0
        while rest > 1:
            divisor = p if rest % p == 0 else q
            total += a if divisor == p else b
            rest //= divisor
        return total

    return Draft(
        f"f(xy) = f(x) + f(y), f({p}) = {a}, f({q}) = {b}. Find f({number}).",
        f"{number} = {p}^{i} * {q}^{j}. f({number}) = {i} * {a} + {j} * {b} = {value}.",
        str(value),
        check,
    )


def shifted(rng: np.random.Generator) -> Draft:
    """The function is known at ax + b: solve for the argument first."""
    a, x = between(rng, 2, 9), between(rng, 1, 15)
    b, c, d = between(rng, -9, 9), between(rng, 2, 12), between(rng, -15, 15)
    asked, value = a * x + b, c * x + d
    return Draft(
        f"f({polynomial([a, b])}) = {polynomial([c, d])}. Find f({asked}).",
        f"{polynomial([a, b])} = {asked} gives x = {asked - b}/{a} = {x}. f({asked}) = {c} * {x}{signed(d)} = {value}.",
        str(value),
        lambda: Fraction(c * (asked - b), a) + d,
    )


def iterated(rng: np.random.Generator) -> Draft:
    """The k-th iterate of x + d or c - x."""
    c, n, k = between(rng, 20, 99), between(rng, 1, 19), between(rng, 5, 99)
    value = n if k % 2 == 0 else c - n

    def check() -> int:
        current = n
        for _ in range(k):
            current = c - current
        return current

    parity = f"{k} is even, so we end at {n}" if k % 2 == 0 else f"{k} is odd, so we end at {c} - {n} = {value}"
    return Draft(
        f"f(x) = {c} - x is applied {k} times to {n}. What is the result?",
        f"f(f(x)) = x. {parity}.",
        str(value),
        check,
    )


def two_points(rng: np.random.Generator) -> Draft:
    """A linear function through two known values; checked by Lagrange's formula."""
    a, b = pick(rng, (-1, 1)) * between(rng, 1, 12), between(rng, -15, 15)
    x1, x2, x3 = distinct(rng, 1, 20, 3)
    y1, y2, y3 = (a * x + b for x in (x1, x2, x3))

    def check() -> Fraction:
        return Fraction(y1 * (x3 - x2), x1 - x2) + Fraction(y2 * (x3 - x1), x2 - x1)

    return Draft(
        f"f is linear, f({x1}) = {y1} and f({x2}) = {y2}. Find f({x3}).",
        f"Slope ({y2}{signed(-y1)})/({x2} - {x1}) = {a}. f({x3}) = {y2}{signed((x3 - x2) * a)} = {y3}.",
        str(y3),
        check,
    )


TEMPLATES: dict[str, tuple[Template, ...]] = {
    "functional_equations": (
        additive,
        multiplicative,
        inverse_value,
        composition,
        reflected,
        steps,
        logarithmic,
        shifted,
        iterated,
        two_points,
    )
}
