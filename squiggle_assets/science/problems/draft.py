"""One drafted problem and the small vocabulary its texts share.

Here: the Draft value, drawing of parameters, writing of terms. Not here: any problem (one module per group of
families beside this one) and the pool made of them (science.pool).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True)
class Draft:
    """A problem, the working that leads to its answer, and a second way to that answer."""

    problem: str
    working: str
    """Steps from the problem to the answer, without the answer line."""
    answer: str
    check: Callable[[], int | str | Fraction]
    """Recomputes the answer from the parameters by another method than the working's (mostly brute force)."""

    @property
    def solution(self) -> str:
        """The working and, as its last line, 'Answer: <answer>'."""
        return f"{self.working}\nAnswer: {self.answer}"

    def verified(self) -> bool:
        """Whether the second method agrees with the answer, as text."""
        return str(self.check()) == self.answer


Template = Callable[[np.random.Generator], Draft]
"""Draws parameters and writes one problem; a template never sees another one's draws."""


def between(rng: np.random.Generator, low: int, high: int) -> int:
    """An integer from low to high, both included, as a Python int (numpy's would overflow in powers)."""
    return int(rng.integers(low, high + 1))


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options, uniformly."""
    return options[int(rng.integers(len(options)))]


def distinct(rng: np.random.Generator, low: int, high: int, num: int) -> list[int]:
    """Num different integers from low to high, both included, ascending."""
    return sorted(int(v) for v in rng.choice(np.arange(low, high + 1), size=num, replace=False))


def signed(value: int) -> str:
    """' + 3' or ' - 3': a term that follows another one; nothing for 0."""
    if value == 0:
        return ""
    return f" + {value}" if value > 0 else f" - {-value}"


def term(coefficient: int, power: int) -> str:
    """'3x^2', 'x', '-x', '7': one monomial in x."""
    if power == 0:
        return str(coefficient)
    symbol = "x" if power == 1 else f"x^{power}"
    if abs(coefficient) == 1:
        return symbol if coefficient > 0 else f"-{symbol}"
    return f"{coefficient}{symbol}"


def polynomial(coefficients: Sequence[int]) -> str:
    """A polynomial in x, highest power first: [1, 0, -4] is 'x^2 - 4'."""
    degree = len(coefficients) - 1
    text = ""
    for i, coefficient in enumerate(coefficients):
        if coefficient == 0:
            continue
        piece = term(coefficient, degree - i)
        if not text:
            text = piece
        else:
            text += f" - {piece[1:]}" if piece.startswith("-") else f" + {piece}"
    return text or "0"
