"""Euclidean geometry: lengths, angles, areas, volumes.

Here: templates of geometry_euclidean. Not here: best shapes (problems.analysis) and grid counting (problems.counting).
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import isqrt

import numpy as np

from squiggle_assets.science.problems.draft import Draft, Template, between, distinct, pick

TRIPLES = ((3, 4, 5), (5, 12, 13), (8, 15, 17), (7, 24, 25), (20, 21, 29))


def shoelace(points: list[tuple[int, int]]) -> Fraction:
    """Area of a polygon from its corners, in order."""
    closed = [*points, points[0]]
    doubled = sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairwise(closed))
    return Fraction(abs(doubled), 2)


def rectangle_area(rng: np.random.Generator) -> Draft:
    """Area from perimeter and one side; checked by trying every other side."""
    a, b = between(rng, 3, 40), between(rng, 3, 40)
    perimeter = 2 * (a + b)
    return Draft(
        f"A rectangle has perimeter {perimeter} and one side {a}. Find its area.",
        f"The other side is {perimeter}/2 - {a} = {b}. {a} * {b} = {a * b}.",
        str(a * b),
        lambda: next(a * s for s in range(1, perimeter) if a + s + a + s == perimeter),
    )


def right_triangle(rng: np.random.Generator) -> Draft:
    """The hypotenuse; checked by an integer square root."""
    (p, q, r), k = pick(rng, TRIPLES), between(rng, 1, 12)
    a, b, c = k * p, k * q, k * r
    return Draft(
        f"A right triangle has legs {a} and {b}. Find its hypotenuse.",
        f"{a}^2 + {b}^2 = {a * a} + {b * b} = {c * c} = {c}^2.",
        str(c),
        lambda: isqrt(a * a + b * b),
    )


def missing_leg(rng: np.random.Generator) -> Draft:
    """A ladder against a wall; checked by trying every height."""
    (p, q, r), k = pick(rng, TRIPLES), between(rng, 1, 12)
    a, b, c = k * p, k * q, k * r
    return Draft(
        f"A ladder of length {c} stands {a} from a wall. How high does it reach?",
        f"{c}^2 - {a}^2 = {c * c} - {a * a} = {b * b} = {b}^2.",
        str(b),
        lambda: next(h for h in range(1, c) if h * h + a * a == c * c),
    )


def triangle_area(rng: np.random.Generator) -> Draft:
    """Half of base times height; checked by the corners."""
    base, height, foot = 2 * between(rng, 2, 30), between(rng, 3, 40), between(rng, 0, 9)
    return Draft(
        f"A triangle has base {base} and height {height}. Find its area.",
        f"{base} * {height} = {base * height}. Half of it is {base * height // 2}.",
        str(base * height // 2),
        lambda: shoelace([(0, 0), (base, 0), (foot, height)]),
    )


def third_angle(rng: np.random.Generator) -> Draft:
    """The angles of a triangle add up to 180; checked by turning around it."""
    a, b = between(rng, 20, 80), between(rng, 20, 80)
    return Draft(
        f"Two angles of a triangle are {a} and {b} degrees. Find the third.",
        f"{a} + {b} = {a + b}. 180 - {a + b} = {180 - a - b}.",
        str(180 - a - b),
        lambda: next(c for c in range(1, 180) if (180 - a) + (180 - b) + (180 - c) == 360),
    )


def circle_area(rng: np.random.Generator) -> Draft:
    """Area of a ring in units of pi; checked by both circles."""
    small, large = distinct(rng, 2, 30, 2)
    return Draft(
        f"A ring lies between circles of radius {small} and {large}. Its area is how many times pi?",
        f"{large}^2 - {small}^2 = {large * large} - {small * small} = {large * large - small * small}.",
        str(large * large - small * small),
        lambda: (large - small) * (large + small),
    )


def similar_triangles(rng: np.random.Generator) -> Draft:
    """Shadows: ratios are equal; checked by trying every height."""
    height, factor, ratio = between(rng, 2, 9), between(rng, 2, 15), between(rng, 2, 5)
    shadow, tall_shadow = height * ratio, height * ratio * factor
    answer = height * factor
    return Draft(
        f"A pole of {height} m casts a shadow of {shadow} m. A tower casts {tall_shadow} m. How tall is the tower?",
        f"{tall_shadow}/{shadow} = {factor}. {height} * {factor} = {answer}.",
        str(answer),
        lambda: next(t for t in range(1, 999) if t * shadow == height * tall_shadow),
    )


def trapezoid(rng: np.random.Generator) -> Draft:
    """Mean width times height; checked by the corners."""
    a, b = between(rng, 4, 30), between(rng, 4, 30)
    height = 2 * between(rng, 1, 12)
    area = (a + b) * height // 2
    return Draft(
        f"A trapezoid has parallel sides {a} and {b} and height {height}. Find its area.",
        f"({a} + {b})/2 * {height} = {a + b} * {height // 2} = {area}.",
        str(area),
        lambda: shoelace([(0, 0), (a, 0), (b, height), (0, height)]),
    )


def point_distance(rng: np.random.Generator) -> Draft:
    """Distance of two points with integer answer; checked by trying."""
    (p, q, r), k = pick(rng, TRIPLES), between(rng, 1, 3)
    x, y = between(rng, -9, 9), between(rng, -9, 9)
    right, up = k * p, k * q
    return Draft(
        f"Find the distance between ({x}, {y}) and ({x + right}, {y + up}).",
        f"{right}^2 + {up}^2 = {right**2 + up**2} = {k * r}^2.",
        str(k * r),
        lambda: next(d for d in range(1, 200) if d * d == right * right + up * up),
    )


def box_volume(rng: np.random.Generator) -> Draft:
    """The height of a box from its volume; checked by stacking layers."""
    a, b, c = between(rng, 2, 12), between(rng, 2, 12), between(rng, 2, 15)
    volume = a * b * c

    def check() -> int:
        left, layers = volume, 0
        while left > 0:
            left, layers = left - a * b, layers + 1
        return layers

    return Draft(
        f"A box has volume {volume} and a base of {a} by {b}. Find its height.",
        f"{a} * {b} = {a * b}. {volume}/{a * b} = {c}.",
        str(c),
        check,
    )


def interior_angle(rng: np.random.Generator) -> Draft:
    """Sum of the angles of a polygon; checked by exterior angles."""
    n = between(rng, 4, 60)
    return Draft(
        f"Find the sum of the interior angles of a polygon with {n} sides, in degrees.",
        f"It splits into {n - 2} triangles. {n - 2} * 180 = {(n - 2) * 180}.",
        str((n - 2) * 180),
        lambda: 180 * n - 360,
    )


def tiles(rng: np.random.Generator) -> Draft:
    """How many square tiles cover a floor; checked by laying rows."""
    side = between(rng, 2, 6)
    a, b = side * between(rng, 3, 15), side * between(rng, 3, 15)
    return Draft(
        f"A floor of {a} by {b} is covered with square tiles of side {side}. How many tiles?",
        f"{a}/{side} = {a // side} and {b}/{side} = {b // side}. {a // side} * {b // side} = {a * b // side**2}.",
        str(a * b // side**2),
        lambda: sum(1 for _ in range(0, a, side) for _ in range(0, b, side)),
    )


def midpoint(rng: np.random.Generator) -> Draft:
    """The midpoint; checked by walking half of the way back."""
    x1, y1 = between(rng, -15, 15), between(rng, -15, 15)
    dx, dy = between(rng, 1, 12), between(rng, 1, 12)
    x2, y2 = x1 + 2 * dx, y1 + 2 * dy
    mx, my = (x1 + x2) // 2, (y1 + y2) // 2
    return Draft(
        f"Find the midpoint of ({x1}, {y1}) and ({x2}, {y2}).",
        f"({x1} + {x2})/2 = {mx} and ({y1} + {y2})/2 = {my}.".replace("+ -", "- "),
        f"({mx}, {my})",
        lambda: f"({x2 - dx}, {y2 - dy})",
    )


TEMPLATES: dict[str, tuple[Template, ...]] = {
    "geometry_euclidean": (
        rectangle_area,
        right_triangle,
        missing_leg,
        triangle_area,
        third_angle,
        circle_area,
        similar_triangles,
        trapezoid,
        point_distance,
        box_volume,
        interior_angle,
        tiles,
        midpoint,
    )
}
