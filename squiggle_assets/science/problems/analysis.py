"""Analysis: derivatives, integrals, limits, rates, and the best value under a constraint.

Here: templates of calculus_analysis and optimization. Not here: solving for an unknown (problems.algebra).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from squiggle_assets.science.problems.draft import Draft, Template, between, pick, polynomial, signed


def derivative_at(rng: np.random.Generator) -> Draft:
    """f'(t) of a quadratic; checked by the symmetric difference, which is exact for quadratics."""
    a, b, c, t = between(rng, 1, 9), between(rng, -9, 9), between(rng, -9, 9), between(rng, 1, 9)
    value = 2 * a * t + b
    return Draft(
        f"f(x) = {polynomial([a, b, c])}. Find the derivative f'({t}).",
        f"f'(x) = {polynomial([2 * a, b])}. f'({t}) = {2 * a * t}{signed(b)} = {value}.",
        str(value),
        lambda: Fraction(sum(s * (a * (t + s) ** 2 + b * (t + s) + c) for s in (1, -1)), 2),
    )


def cubic_slope(rng: np.random.Generator) -> Draft:
    """Slope of a cubic; checked by Taylor: the linear coefficient after shifting the origin to t."""
    a, b, t = between(rng, 1, 5), between(rng, -9, 9), between(rng, 1, 6)
    value = 3 * a * t * t + b

    def check() -> int:
        coefficients = [a, 0, b, 0]
        for done in range(2):
            for i in range(1, len(coefficients) - done):
                coefficients[i] += coefficients[i - 1] * t
        return coefficients[-2]

    return Draft(
        f"Find the slope of y = {polynomial([a, 0, b, 0])} at x = {t}.",
        f"y' = {polynomial([3 * a, 0, b])}. {3 * a} * {t * t}{signed(b)} = {value}.",
        str(value),
        check,
    )


def integral(rng: np.random.Generator) -> Draft:
    """A definite integral of a linear function; checked by the trapezium, which is exact."""
    a, b, upper = 2 * between(rng, 1, 6), between(rng, -5, 12), between(rng, 1, 12)
    value = a // 2 * upper * upper + b * upper
    return Draft(
        f"Find the integral of {polynomial([a, b])} from 0 to {upper}.",
        f"F(x) = {polynomial([a // 2, b, 0])}. F({upper}) = {a // 2 * upper**2}{signed(b * upper)} = {value}.",
        str(value),
        lambda: Fraction(upper * (b + a * upper + b), 2),
    )


def square_integral(rng: np.random.Generator) -> Draft:
    """The integral of a square; checked by Simpson's rule, which is exact."""
    a, low, width = 3 * between(rng, 1, 5), between(rng, 0, 4), between(rng, 1, 5)
    high = low + width
    value = a // 3 * (high**3 - low**3)

    def check() -> Fraction:
        middle = Fraction(low + high, 2)
        return Fraction(width, 6) * (a * low**2 + 4 * a * middle**2 + a * high**2)

    k = a // 3
    return Draft(
        f"Find the integral of {polynomial([a, 0, 0])} from {low} to {high}.",
        f"F(x) = {polynomial([k, 0, 0, 0])}. F({high}) - F({low}) = {k * high**3} - {k * low**3} = {value}.",
        str(value),
        check,
    )


def removable_limit(rng: np.random.Generator) -> Draft:
    """A limit after cancelling a factor; checked by averaging both sides of the point, exact for a line."""
    a, b = between(rng, 1, 15), between(rng, -15, 15)
    value = a - b if a != b else 2 * a

    def check() -> Fraction:
        other = b if a != b else -a
        sides = [Fraction((x - a) * (x - other), x - a) for x in (Fraction(a - 1), Fraction(a + 1))]
        return sum(sides, Fraction(0)) / 2

    other = b if a != b else -a
    return Draft(
        f"Find the limit of ({polynomial([1, -a - other, a * other])})/(x - {a}) as x tends to {a}.",
        f"The top is (x - {a})({polynomial([1, -other])}). At x = {a}: {a}{signed(-other)} = {value}.",
        str(value),
        check,
    )


def rate_total(rng: np.random.Generator) -> Draft:
    """A changing rate accumulated over time; checked by whole hours."""
    start, step, hours = between(rng, 5, 60), 2 * between(rng, 1, 5), between(rng, 2, 10)
    end = start + step * hours
    total = (start + end) * hours // 2
    return Draft(
        f"Water flows at {start} + {step}t litres per hour. How many litres flow from t = 0 to t = {hours}?",
        f"The rate grows from {start} to {end}, on average {(start + end) // 2}. "
        f"{(start + end) // 2} * {hours} = {total}."
        if (start + end) % 2 == 0
        else f"The rate grows from {start} to {end}. ({start} + {end})/2 * {hours} = {total}.",
        str(total),
        lambda: sum(start + step * h + step // 2 for h in range(hours)),
    )


def speed(rng: np.random.Generator) -> Draft:
    """Distance from two speeds; checked by adding up hours."""
    v, w, s, t = between(rng, 20, 90), between(rng, 20, 90), between(rng, 2, 7), between(rng, 2, 7)
    total = v * s + w * t
    return Draft(
        f"A car drives {s} hours at {v} km per hour and {t} hours at {w} km per hour. How far does it go?",
        f"{s} * {v} = {v * s} and {t} * {w} = {w * t}. {v * s} + {w * t} = {total}.",
        str(total),
        lambda: sum([v] * s + [w] * t),
    )


def parabola_top(rng: np.random.Generator) -> Draft:
    """The top of a parabola; checked over the integers around it."""
    top, height = between(rng, 1, 12), between(rng, 5, 90)
    b, c = 2 * top, height - top * top
    return Draft(
        f"Find the maximum of {polynomial([-1, b, c])}.",
        f"It is largest at x = {b}/2 = {top}: -{top * top} + {b * top}{signed(c)} = {height}.",
        str(height),
        lambda: max(-x * x + b * x + c for x in range(-50, 51)),
    )


def best_rectangle(rng: np.random.Generator) -> Draft:
    """The largest area for a fence; checked over every width."""
    side = between(rng, 3, 60)
    animal = pick(rng, ("sheep", "goats", "hens"))
    return Draft(
        f"A fence of {4 * side} m encloses a rectangle for {animal}. What is its largest area?",
        f"The square is best: side {4 * side}/4 = {side}. {side}^2 = {side * side}.",
        str(side * side),
        lambda: max(w * (2 * side - w) for w in range(2 * side + 1)),
    )


def best_product(rng: np.random.Generator) -> Draft:
    """Two numbers with a given sum and the largest product; checked over every pair."""
    s = between(rng, 9, 150)
    a, b = s // 2, s - s // 2
    return Draft(
        f"Two whole numbers add up to {s}. What is their largest product?",
        f"Nearest to equal is best: {a} and {b}. {a} * {b} = {a * b}.",
        str(a * b),
        lambda: max(n * (s - n) for n in range(s + 1)),
    )


def cheapest_plan(rng: np.random.Generator) -> Draft:
    """Which of two tariffs costs less; checked by paying unit by unit."""
    fee, rate = between(rng, 10, 40), between(rng, 1, 4)
    other, units = rate + between(rng, 1, 5), between(rng, 4, 30)
    first, second = fee + rate * units, other * units

    def check() -> int:
        a, b = fee, 0
        for _ in range(units):
            a, b = a + rate, b + other
        return min(a, b)

    return Draft(
        f"Plan A costs {fee} plus {rate} per call, plan B {other} per call. What is the least cost of {units} calls?",
        f"A: {fee} + {rate} * {units} = {first}. B: {other} * {units} = {second}. The least is {min(first, second)}.",
        str(min(first, second)),
        check,
    )


def budget(rng: np.random.Generator) -> Draft:
    """As many as the money buys; checked by buying."""
    money, fixed, price = between(rng, 50, 300), between(rng, 5, 40), between(rng, 3, 19)
    thing = pick(rng, ("pens", "books", "shirts", "plants"))

    def check() -> int:
        left, bought = money - fixed, 0
        while left >= price:
            left, bought = left - price, bought + 1
        return bought

    return Draft(
        f"With {money} dollars, how many {thing} at {price} each can be bought after paying {fixed} for delivery?",
        f"{money} - {fixed} = {money - fixed}. {money - fixed} = {price} * {(money - fixed) // price} + "
        f"{(money - fixed) % price}.",
        str((money - fixed) // price),
        check,
    )


TEMPLATES: dict[str, tuple[Template, ...]] = {
    "calculus_analysis": (
        derivative_at,
        cubic_slope,
        integral,
        square_integral,
        removable_limit,
        rate_total,
        speed,
    ),
    "optimization": (parabola_top, best_rectangle, best_product, cheapest_plan, budget),
}
