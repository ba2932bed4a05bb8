"""Counting: by a bijection, by the basic rules, and by chance.

Here: templates of bijection_counting, combinatorics_basic and probability_expectation. Not here: counting of
residues or divisors (problems.numbers).
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, permutations, product
from math import comb, factorial, prod

import numpy as np

from squiggle_assets.science.problems.draft import Draft, Template, between, distinct, pick

THINGS = ("marbles", "coins", "apples", "stamps", "books", "cards")


def subsets_with(rng: np.random.Generator) -> Draft:
    """Subsets with one element in and one out match the subsets of the rest."""
    low, size = between(rng, 1, 30), between(rng, 4, 9)
    high = low + size - 1
    inside, outside = distinct(rng, low, high, 2)

    def check() -> int:
        chosen = product((False, True), repeat=size)
        return sum(c[inside - low] and not c[outside - low] for c in chosen)

    return Draft(
        f"How many subsets of the integers {low} to {high} contain {inside} but not {outside}?",
        f"They match the subsets of the other {size - 2} numbers: 2^{size - 2} = {2 ** (size - 2)}.",
        str(2 ** (size - 2)),
        check,
    )


def lattice_paths(rng: np.random.Generator) -> Draft:
    """Paths match words in R and U; checked by adding up the grid."""
    x, y = between(rng, 0, 9), between(rng, 0, 9)
    right, up = between(rng, 2, 6), between(rng, 2, 5)
    answer = comb(right + up, up)

    def check() -> int:
        row = [1] * (right + 1)
        for _ in range(up):
            for i in range(1, right + 1):
                row[i] += row[i - 1]
        return row[right]

    return Draft(
        f"How many paths of unit steps right or up lead from ({x}, {y}) to ({x + right}, {y + up})?",
        f"A path is a word of {right} R and {up} U: C({right + up}, {up}) = {answer}.",
        str(answer),
        check,
    )


def knockout(rng: np.random.Generator) -> Draft:
    """Games match losers; checked by playing the rounds."""
    teams = between(rng, 9, 400)
    sport = pick(rng, ("chess", "tennis", "judo", "football", "fencing"))

    def check() -> int:
        left, games = teams, 0
        while left > 1:
            games += left // 2
            left -= left // 2
        return games

    return Draft(
        f"{teams} players enter a {sport} knockout. Each game removes its loser. How many games are played?",
        f"Games match losers. All but the winner lose once: {teams} - 1 = {teams - 1}.",
        str(teams - 1),
        check,
    )


def stars_and_bars(rng: np.random.Generator) -> Draft:
    """Distributions match words of stars and bars; checked by adding boxes one at a time."""
    balls, boxes, thing = between(rng, 3, 14), between(rng, 2, 4), pick(rng, THINGS)
    answer = comb(balls + boxes - 1, boxes - 1)
    bars = "1 bar" if boxes == 2 else f"{boxes - 1} bars"

    def check() -> int:
        ways = [1] + [0] * balls
        for _ in range(boxes):
            ways = [sum(ways[: i + 1]) for i in range(balls + 1)]
        return ways[balls]

    return Draft(
        f"In how many ways can {balls} equal {thing} go into {boxes} boxes?",
        f"Match with {balls} stars and {bars}: C({balls + boxes - 1}, {boxes - 1}) = {answer}.",
        str(answer),
        check,
    )


def rectangles(rng: np.random.Generator) -> Draft:
    """Rectangles match pairs of lines; checked by counting corners."""
    m, n = between(rng, 2, 12), between(rng, 2, 12)
    rows, columns = comb(m + 1, 2), comb(n + 1, 2)

    def check() -> int:
        return sum((m - top) * (n - left) for top in range(m) for left in range(n))

    return Draft(
        f"How many rectangles are in a grid of {m} by {n} squares?",
        f"A rectangle is 2 of {m + 1} lines and 2 of {n + 1} lines: {rows} * {columns} = {rows * columns}.",
        str(rows * columns),
        check,
    )


def multiples_in_range(rng: np.random.Generator) -> Draft:
    """Multiples of m up to a limit match 1, 2, 3, ..."""
    m, low, width = between(rng, 3, 13), between(rng, 10, 90), between(rng, 30, 150)
    high = low + width
    below, upto = (low - 1) // m, high // m
    return Draft(
        f"How many multiples of {m} are there from {low} to {high}?",
        f"Multiples match 1, 2, 3, ...: {upto} up to {high}, {below} below {low}. {upto} - {below} = {upto - below}.",
        str(upto - below),
        lambda: sum(n % m == 0 for n in range(low, high + 1)),
    )


def ordered_sums(rng: np.random.Generator) -> Draft:
    """Pairs x + y = s with lower bounds match the values of x."""
    s, a, b = between(rng, 20, 150), between(rng, 0, 9), between(rng, 0, 9)
    answer = s - a - b + 1
    return Draft(
        f"How many integer pairs (x, y) have x + y = {s}, x >= {a} and y >= {b}?",
        f"Each pair matches its x, from {a} to {s - b}: {s - b} - {a} + 1 = {answer}.",
        str(answer),
        lambda: sum(s - x >= b for x in range(a, s + 1)),
    )


def equal_groups(rng: np.random.Generator) -> Draft:
    """Things match (box, bag, place) triples."""
    boxes, bags, each, thing = between(rng, 3, 12), between(rng, 2, 9), between(rng, 4, 15), pick(rng, THINGS)
    total = boxes * bags * each
    return Draft(
        f"There are {boxes} boxes with {bags} bags each, and {each} {thing} in each bag. How many {thing} in all?",
        f"{boxes} * {bags} = {boxes * bags} bags. {boxes * bags} * {each} = {total}.",
        str(total),
        lambda: sum(each for _ in product(range(boxes), range(bags))),
    )


def menu(rng: np.random.Generator) -> Draft:
    """The product rule."""
    counts = [between(rng, 2, 9) for _ in range(3)]
    a, b, c = counts
    return Draft(
        f"A menu has {a} soups, {b} mains and {c} desserts. How many meals with one of each are there?",
        f"{a} * {b} * {c} = {a * b} * {c} = {a * b * c}.",
        str(a * b * c),
        lambda: sum(1 for _ in product(*(range(n) for n in counts))),
    )


def committee(rng: np.random.Generator) -> Draft:
    """Unordered choices from two groups."""
    n, m = between(rng, 4, 9), between(rng, 3, 8)
    answer = comb(n, 2) * m
    return Draft(
        f"A team takes 2 of {n} girls and 1 of {m} boys. How many teams are possible?",
        f"C({n}, 2) = {comb(n, 2)}. {comb(n, 2)} * {m} = {answer}.",
        str(answer),
        lambda: sum(1 for _ in product(combinations(range(n), 2), range(m))),
    )


def letters(rng: np.random.Generator) -> Draft:
    """Arrangements of letters, one of them repeated."""
    word = pick(rng, ("seed", "noon", "apple", "hello", "level", "kayak", "tree", "moon", "coffee", "banana", "error"))
    repeats = {c: word.count(c) for c in word if word.count(c) > 1}
    divisor = prod(factorial(v) for v in repeats.values())
    answer = factorial(len(word)) // divisor
    return Draft(
        f'In how many orders can the letters of "{word}" be written?',
        f"{len(word)}! = {factorial(len(word))}, divided by {divisor} for equal letters: {answer}.",
        str(answer),
        lambda: len(set(permutations(word))),
    )


def podium(rng: np.random.Generator) -> Draft:
    """Ordered choices without repetition."""
    n, k = between(rng, 5, 15), pick(rng, (2, 3))
    factors = [n - i for i in range(k)]
    return Draft(
        f"{n} runners race. In how many ways can the first {k} places be taken?",
        f"{' * '.join(map(str, factors))} = {prod(factors)}.",
        str(prod(factors)),
        lambda: sum(1 for _ in permutations(range(n), k)),
    )


def draw_colour(rng: np.random.Generator) -> Draft:
    """The chance of a colour, as a reduced fraction."""
    red, blue, green = between(rng, 2, 15), between(rng, 2, 15), between(rng, 1, 9)
    total = red + blue + green
    answer = str(Fraction(red, total))
    return Draft(
        f"A bag holds {red} red, {blue} blue and {green} green balls. What is the probability of drawing red?",
        f"{red} + {blue} + {green} = {total} balls, {red} of them red: {answer}.",
        answer,
        lambda: share_true([c == "r" for c in "r" * red + "b" * blue + "g" * green]),
    )


def share_true(flags: list[bool]) -> Fraction:
    """The share of true flags, exactly."""
    return Fraction(sum(flags), len(flags))


def dice_sum(rng: np.random.Generator) -> Draft:
    """Two fair dice with s sides: the chance of a sum."""
    sides = pick(rng, (4, 6, 8, 10))
    target = between(rng, 3, 2 * sides - 1)
    ways = sides - abs(target - sides - 1)
    answer = str(Fraction(ways, sides * sides))
    return Draft(
        f"Two fair dice have {sides} sides each. What is the probability that the sum is {target}?",
        f"{ways} of {sides}^2 = {sides * sides} pairs: {answer}.",
        answer,
        lambda: share_true([sum(pair) == target for pair in product(range(1, sides + 1), repeat=2)]),
    )


def expected_prize(rng: np.random.Generator) -> Draft:
    """The mean of a two-valued prize."""
    n, win = between(rng, 2, 12), between(rng, 2, 30)
    prize = n * win
    return Draft(
        f"One of {n} equal tickets wins {prize} dollars, the others nothing. What is the expected prize of a ticket?",
        f"{prize} * 1/{n} = {win}.",
        str(win),
        lambda: Fraction(sum([prize] + [0] * (n - 1)), n),
    )


def mean_of_numbers(rng: np.random.Generator) -> Draft:
    """The mean of four numbers; checked by deviations from the first."""
    values = [between(rng, 5, 60) for _ in range(3)]
    values.append(between(rng, 3, 12) * 4 - sum(values) % 4)
    total = sum(values)
    first = values[0]
    return Draft(
        f"What is the average of {values[0]}, {values[1]}, {values[2]} and {values[3]}?",
        f"The sum is {total}. {total}/4 = {total // 4}.",
        str(total // 4),
        lambda: first + Fraction(sum(v - first for v in values), 4),
    )


TEMPLATES: dict[str, tuple[Template, ...]] = {
    "bijection_counting": (
        subsets_with,
        lattice_paths,
        knockout,
        stars_and_bars,
        rectangles,
        multiples_in_range,
        ordered_sums,
        equal_groups,
    ),
    "combinatorics_basic": (menu, committee, letters, podium),
    "probability_expectation": (draw_colour, dice_sum, expected_prize, mean_of_numbers),
}
