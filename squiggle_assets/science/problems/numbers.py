"""Whole numbers: residues, cycles, divisors, digits.

Here: templates of modular_arithmetic, cyclic_groups and number_theory_basic. Not here: counting (problems.counting).
"""

from __future__ import annotations

from itertools import permutations
from math import gcd, lcm

import numpy as np

from squiggle_assets.science.problems.draft import Draft, Template, between, pick

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PRIMES = (5, 7, 11, 13, 17, 19, 23)


def _repeat(start: int, step: int, times: int, modulus: int) -> int:
    """Start, then `step` added `times` times, each time modulo the modulus."""
    value = start % modulus
    for _ in range(times):
        value = (value + step) % modulus
    return value


def power_residue(rng: np.random.Generator) -> Draft:
    """Remainder of a power by squaring; checked by the plain product."""
    base, modulus = between(rng, 2, 19), between(rng, 5, 29)
    square = base * base % modulus
    fourth = square * square % modulus
    return Draft(
        f"Find the remainder of {base}^4 divided by {modulus}.",
        f"{base}^2 = {base * base} = {square} mod {modulus}. {square}^2 = {square * square} = {fourth} mod {modulus}.",
        str(fourth),
        lambda: base * base * base * base - modulus * (base * base * base * base // modulus),
    )


def product_residue(rng: np.random.Generator) -> Draft:
    """Remainder of a product from the remainders of its factors; checked on the product itself."""
    a, b, modulus = between(rng, 20, 99), between(rng, 20, 99), between(rng, 5, 13)
    left, right = a % modulus, b % modulus
    answer = left * right % modulus
    return Draft(
        f"Find the remainder of {a} * {b} divided by {modulus}.",
        f"{a} = {left} and {b} = {right} mod {modulus}. {left} * {right} = {left * right} = {answer} mod {modulus}.",
        str(answer),
        lambda: (a * b) % modulus,
    )


def linear_congruence(rng: np.random.Generator) -> Draft:
    """Solve a x = b modulo a prime through the inverse; checked by trying every x."""
    p = pick(rng, PRIMES)
    a, x = between(rng, 2, p - 1), between(rng, 1, p - 1)
    b, inverse = a * x % p, pow(a, -1, p)
    return Draft(
        f"Solve {a}x = {b} mod {p} with 0 < x < {p}.",
        f"{a} * {inverse} = {a * inverse} = 1 mod {p}. x = {inverse} * {b} = {inverse * b} = {x} mod {p}.",
        str(x),
        lambda: next(n for n in range(1, p) if (a * n - b) % p == 0),
    )


def weekday(rng: np.random.Generator) -> Draft:
    """Days of the week are residues modulo 7; checked by walking."""
    start, days = between(rng, 0, 6), between(rng, 20, 365)
    rest = days % 7
    end = DAYS[(start + rest) % 7]
    return Draft(
        f"Today is {DAYS[start]}. Which day of the week is it in {days} days?",
        f"{days} = 7 * {days // 7} + {rest}. {rest} days after {DAYS[start]} is {end}.",
        end,
        lambda: DAYS[_repeat(start, 1, days, 7)],
    )


def two_congruences(rng: np.random.Generator) -> Draft:
    """The Chinese remainder theorem; checked by trying every number."""
    m, n = pick(rng, ((3, 5), (4, 7), (5, 7), (3, 8), (5, 9), (4, 9), (7, 8), (5, 11)))
    answer = between(rng, n, m * n - 1)
    a, b = answer % m, answer % n
    tried = list(range(b, answer + 1, n))
    listed = ", ".join(map(str, tried))
    return Draft(
        f"Which number below {m * n} leaves remainder {a} by {m} and {b} by {n}?",
        f"Remainder {b} by {n}: {listed}. Of these {answer} leaves {a} by {m}.",
        str(answer),
        lambda: next(k for k in range(m * n) if k % m == a and k % n == b),
    )


def leftover(rng: np.random.Generator) -> Draft:
    """What is left after packing into full boxes; checked by packing."""
    total, box = between(rng, 60, 999), between(rng, 6, 24)
    thing = pick(rng, ("eggs", "pens", "cups", "tiles"))

    def check() -> int:
        left = total
        while left >= box:
            left -= box
        return left

    return Draft(
        f"{total} {thing} are packed in full boxes of {box}. How many {thing} are left over?",
        f"{total} = {box} * {total // box} + {total % box}.",
        str(total % box),
        check,
    )


def additive_order(rng: np.random.Generator) -> Draft:
    """The order of k in Z_n is n / gcd; checked by adding until 0."""
    n = between(rng, 6, 60)
    k = between(rng, 2, n - 1)

    def check() -> int:
        value, order = k % n, 1
        while value:
            value, order = (value + k) % n, order + 1
        return order

    return Draft(
        f"What is the order of {k} in the cyclic group Z_{n} under addition?",
        f"gcd({k}, {n}) = {gcd(k, n)}. {n}/{gcd(k, n)} = {n // gcd(k, n)}.",
        str(n // gcd(k, n)),
        check,
    )


def multiplicative_order(rng: np.random.Generator) -> Draft:
    """The order of a modulo a prime, by listing powers; checked over the divisors of p - 1."""
    p = pick(rng, (7, 11, 13))
    a = between(rng, 2, p - 1)
    powers = [a]
    while powers[-1] != 1:
        powers.append(powers[-1] * a % p)
    return Draft(
        f"What is the order of {a} in the multiplicative group mod {p}?",
        f"The powers of {a} mod {p} are {', '.join(map(str, powers))}; number {len(powers)} is 1.",
        str(len(powers)),
        lambda: next(d for d in range(1, p) if (p - 1) % d == 0 and pow(a, d, p) == 1),
    )


def rotations(rng: np.random.Generator) -> Draft:
    """A hand moves k places on a dial of n, many times; checked by moving it."""
    n, k, times, start = between(rng, 5, 16), between(rng, 2, 15), between(rng, 10, 60), between(rng, 0, 4)
    end = (start + k * times) % n
    return Draft(
        f"A dial has places 0 to {n - 1}. From {start} it turns {k} places {times} times. Where does it stop?",
        f"{start} + {k} * {times} = {start + k * times} = {end} mod {n}.",
        str(end),
        lambda: _repeat(start, k, times, n),
    )


def cycle_order(rng: np.random.Generator) -> Draft:
    """The order of a permutation is the lcm of its cycle lengths; checked by applying it."""
    a, b = between(rng, 2, 9), between(rng, 2, 12)

    def check() -> int:
        shift = [(i + 1) % a for i in range(a)] + [a + (i + 1) % b for i in range(b)]
        current, order = shift, 1
        while current != list(range(a + b)):
            current, order = [shift[i] for i in current], order + 1
        return order

    return Draft(
        f"A permutation has one cycle of length {a} and one of length {b}. What is its order?",
        f"lcm({a}, {b}) = {lcm(a, b)}.",
        str(lcm(a, b)),
        check,
    )


def greatest_divisor(rng: np.random.Generator) -> Draft:
    """Euclid's algorithm; checked by trying every divisor."""
    scale = between(rng, 2, 15)
    a, b = scale * between(rng, 3, 20), scale * between(rng, 3, 20)
    rows, x, y = [], max(a, b), min(a, b)
    while y:
        rows.append(f"{x} mod {y} = {x % y}")
        x, y = y, x % y
    return Draft(
        f"Find the greatest common divisor of {a} and {b}.",
        ", ".join(rows) + f". The last divisor is {x}.",
        str(x),
        lambda: max(d for d in range(1, min(a, b) + 1) if a % d == 0 and b % d == 0),
    )


def least_multiple(rng: np.random.Generator) -> Draft:
    """The least common multiple; checked by stepping."""
    a, b = between(rng, 4, 30), between(rng, 4, 30)
    return Draft(
        f"Find the least common multiple of {a} and {b}.",
        f"gcd({a}, {b}) = {gcd(a, b)}. {a} * {b}/{gcd(a, b)} = {lcm(a, b)}.",
        str(lcm(a, b)),
        lambda: next(m for m in range(a, a * b + 1, a) if m % b == 0),
    )


def divisor_count(rng: np.random.Generator) -> Draft:
    """Divisors from the prime factorisation; checked by trial."""
    p, q = pick(rng, ((2, 3), (2, 5), (3, 5), (2, 7), (3, 7), (2, 11)))
    i, j = between(rng, 1, 4), between(rng, 1, 2)
    n, answer = p**i * q**j, (i + 1) * (j + 1)
    return Draft(
        f"How many positive divisors does {n} have?",
        f"{n} = {p}^{i} * {q}^{j}. ({i} + 1)({j} + 1) = {answer}.",
        str(answer),
        lambda: sum(n % d == 0 for d in range(1, n + 1)),
    )


def largest_number(rng: np.random.Generator) -> Draft:
    """The largest number from three digits; checked by listing."""
    a, b, c = sorted((int(v) for v in rng.choice(np.arange(1, 10), size=3, replace=False)), reverse=True)
    shown = [int(v) for v in rng.permutation([a, b, c])]
    return Draft(
        f"What is the largest three-digit number with the digits {shown[0]}, {shown[1]}, {shown[2]}?",
        f"Largest digits first: {a}, {b}, {c} give {a}{b}{c}.",
        f"{a}{b}{c}",
        lambda: max(100 * x + 10 * y + z for x, y, z in permutations(shown)),
    )


TEMPLATES: dict[str, tuple[Template, ...]] = {
    "modular_arithmetic": (
        power_residue,
        product_residue,
        linear_congruence,
        weekday,
        two_congruences,
        leftover,
    ),
    "cyclic_groups": (additive_order, multiplicative_order, rotations, cycle_order),
    "number_theory_basic": (greatest_divisor, least_multiple, divisor_count, largest_number),
}
