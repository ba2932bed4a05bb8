"""Processes: values that follow one another, and what they leave unchanged.

Here: templates of graph_recurrence, invariant_monovariant and sequences_series. Not here: functions
given by an equation (problems.functional).
"""

from __future__ import annotations

from itertools import product

import numpy as np

from squiggle_assets.science.problems.draft import Draft, Template, between, pick, signed


def affine_recurrence(rng: np.random.Generator) -> Draft:
    """a_(n+1) = p a_n + q, four steps; checked by expanding the recurrence."""
    p, q, first, n = between(rng, 2, 4), between(rng, -5, 9), between(rng, 1, 9), between(rng, 3, 5)
    terms = [first]
    while len(terms) < n:
        terms.append(p * terms[-1] + q)
    listed = ", ".join(f"a_{i + 1} = {v}" for i, v in enumerate(terms))
    return Draft(
        f"a_1 = {first} and a_(n+1) = {p} a_n{signed(q)}. Find a_{n}.",
        f"{listed}.",
        str(terms[-1]),
        lambda: p ** (n - 1) * first + q * sum(p**i for i in range(n - 1)),
    )


def two_term_recurrence(rng: np.random.Generator) -> Draft:
    """Each term is the sum of the two before; checked through Fibonacci numbers."""
    a, b, n = between(rng, 1, 12), between(rng, 1, 12), between(rng, 5, 8)
    terms = [a, b]
    while len(terms) < n:
        terms.append(terms[-1] + terms[-2])

    def fibonacci(k: int) -> int:
        return k if k < 2 else fibonacci(k - 1) + fibonacci(k - 2)

    return Draft(
        f"A sequence starts {a}, {b} and each later term is the sum of the two before. Find term {n}.",
        f"{', '.join(map(str, terms))}.",
        str(terms[-1]),
        lambda: a * fibonacci(n - 2) + b * fibonacci(n - 1),
    )


def graph_edges(rng: np.random.Generator) -> Draft:
    """Degrees add up to twice the edges; checked on a circulant graph."""
    nodes, half = between(rng, 7, 60), between(rng, 1, 3)
    degree = 2 * half
    edges = nodes * half

    def check() -> int:
        return len({frozenset((i, (i + d) % nodes)) for i in range(nodes) for d in range(1, half + 1)})

    return Draft(
        f"A graph has {nodes} vertices of degree {degree}. How many edges does it have?",
        f"The degrees add up to {nodes} * {degree} = {nodes * degree}. {nodes * degree}/2 = {edges}.",
        str(edges),
        check,
    )


def stairs(rng: np.random.Generator) -> Draft:
    """Climbing a stair by two step sizes; checked by listing step sequences."""
    small, large = pick(rng, ((1, 2), (1, 3), (2, 3), (1, 4)))
    n = between(rng, 5, 9)
    ways = [1]
    for i in range(1, n + 1):
        ways.append((ways[i - small] if i >= small else 0) + (ways[i - large] if i >= large else 0))

    def check() -> int:
        return sum(sum(moves) == n for length in range(1, n + 1) for moves in product((small, large), repeat=length))

    return Draft(
        f"In how many ways can {n} stairs be climbed by steps of {small} or {large}?",
        f"w(n) = w(n-{small}) + w(n-{large}), w(0) = 1: {', '.join(map(str, ways))}.",
        str(ways[n]),
        check,
    )


def daily_growth(rng: np.random.Generator) -> Draft:
    """A number is multiplied, then reduced, every day; checked by the closed form."""
    start, factor, loss, days = between(rng, 10, 30), pick(rng, (2, 3)), between(rng, 1, 9), between(rng, 2, 4)
    values = [start]
    for _ in range(days):
        values.append(values[-1] * factor - loss)
    word = {2: "doubles", 3: "triples"}[factor]

    return Draft(
        f"A colony of {start} cells {word} each day and then loses {loss}. How many cells after {days} days?",
        f"{', '.join(map(str, values))}.",
        str(values[-1]),
        lambda: start * factor**days - loss * (factor**days - 1) // (factor - 1),
    )


def last_number(rng: np.random.Generator) -> Draft:
    """Replace a, b by a + b + k until one is left; checked by playing."""
    n, k = between(rng, 4, 40), pick(rng, (-3, -2, -1, 1, 2, 3, 4, 5, 6))
    total = n * (n + 1) // 2
    answer = total + k * (n - 1)

    def check() -> int:
        board = list(range(1, n + 1))
        while len(board) > 1:
            board.append(board.pop(0) + board.pop() + k)
        return board[0]

    return Draft(
        f"The numbers 1 to {n} are on a board. A move replaces a, b by a + b{signed(k)}. Which number is left last?",
        f"The sum starts at {total}; each of {n - 1} moves changes it by {k}. {total}{signed(k * (n - 1))} = {answer}.",
        str(answer),
        check,
    )


def breaking(rng: np.random.Generator) -> Draft:
    """Each break adds one piece; checked by breaking."""
    m, n = between(rng, 2, 15), between(rng, 2, 15)

    def check() -> int:
        pieces, breaks = [(m, n)], 0
        while any(a * b > 1 for a, b in pieces):
            a, b = pieces.pop(next(i for i, (x, y) in enumerate(pieces) if x * y > 1))
            pieces += [(1, b), (a - 1, b)] if a > 1 else [(a, 1), (a, b - 1)]
            breaks += 1
        return breaks

    return Draft(
        f"A bar of {m} by {n} squares is broken into single squares. How many breaks are needed?",
        f"Each break adds 1 piece. From 1 to {m * n} pieces: {m * n} - 1 = {m * n - 1}.",
        str(m * n - 1),
        check,
    )


def transfer(rng: np.random.Generator) -> Draft:
    """The total stays: two jars after moving some; checked by moving one by one."""
    a, b, end = between(rng, 20, 80), between(rng, 5, 40), between(rng, 1, 19)
    thing = pick(rng, ("beans", "coins", "nuts", "beads"))
    answer = a + b - end

    def check() -> int:
        left, right = a, b
        while left > end:
            left, right = left - 1, right + 1
        return right

    return Draft(
        f"Jar A has {a} {thing}, jar B has {b}. Some move from A to B until A has {end}. How many are in B?",
        f"The total stays {a} + {b} = {a + b}. B has {a + b} - {end} = {answer}.",
        str(answer),
        check,
    )


def coin_parity(rng: np.random.Generator) -> Draft:
    """Turning two coins keeps the parity of heads; checked by the reachable counts."""
    n = between(rng, 5, 30)
    heads = between(rng, 1, n - 1)
    answer = "yes" if heads % 2 == 0 else "no"

    def check() -> str:
        seen, todo = {heads}, [heads]
        while todo:
            h = todo.pop()
            moves = [(h - 2, h >= 2), (h + 2, n - h >= 2), (h, 0 < h < n)]
            todo += [new for new, allowed in moves if allowed and new not in seen]
            seen |= {new for new, allowed in moves if allowed}
        return "yes" if 0 in seen else "no"

    return Draft(
        f"{n} coins show {heads} heads. A move turns any 2 coins. Can all show tails?",
        f"A move changes heads by -2, 0 or 2, so the parity stays. {heads} is {'even' if heads % 2 == 0 else 'odd'}.",
        answer,
        check,
    )


def arithmetic_sum(rng: np.random.Generator) -> Draft:
    """Sum of an arithmetic sequence by pairing the ends; checked by adding."""
    first, step, n = between(rng, 1, 20), between(rng, 1, 9), 2 * between(rng, 3, 12)
    last = first + (n - 1) * step
    total = n // 2 * (first + last)
    return Draft(
        f"An arithmetic sequence starts {first}, {first + step}, {first + 2 * step}. Find the sum of {n} terms.",
        f"Term {n} is {first} + {n - 1} * {step} = {last}. {n // 2} * ({first} + {last}) = {total}.",
        str(total),
        lambda: sum(range(first, last + 1, step)),
    )


def geometric_term(rng: np.random.Generator) -> Draft:
    """A term of a geometric sequence; checked by multiplying."""
    first, ratio, n = between(rng, 1, 12), between(rng, 2, 5), between(rng, 4, 6)

    def check() -> int:
        value = first
        for _ in range(n - 1):
            value *= ratio
        return value

    return Draft(
        f"A geometric sequence starts {first}, {first * ratio}, {first * ratio**2}. Find term {n}.",
        f"The ratio is {ratio}. {first} * {ratio}^{n - 1} = {first} * {ratio ** (n - 1)} = {first * ratio ** (n - 1)}.",
        str(first * ratio ** (n - 1)),
        check,
    )


def odd_sum(rng: np.random.Generator) -> Draft:
    """The sum of odd numbers from one to another as a difference of squares; checked by adding."""
    a = between(rng, 2, 20)
    b = a + between(rng, 2, 15)
    return Draft(
        f"Find the sum of the odd numbers from {2 * a + 1} to {2 * b - 1}.",
        f"The sum is {b}^2 - {a}^2 = {b * b} - {a * a} = {b * b - a * a}.",
        str(b * b - a * a),
        lambda: sum(range(2 * a + 1, 2 * b, 2)),
    )


TEMPLATES: dict[str, tuple[Template, ...]] = {
    "graph_recurrence": (affine_recurrence, two_term_recurrence, graph_edges, stairs, daily_growth),
    "invariant_monovariant": (last_number, breaking, transfer, coin_parity),
    "sequences_series": (arithmetic_sum, geometric_term, odd_sum),
}
