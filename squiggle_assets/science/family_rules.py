"""What a family means for a text: the rules for competition mathematics, and which subjects hold which families.

Here: data: patterns, weights, reasons. Not here: rules for word problems (science.family_rules_words) and how rules
are scored (science.classify).
"""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """Evidence for one family; all given patterns must be found, in text of lower case."""

    family: str
    weight: float
    """Log-odds added to the family's score; rules of one family add up."""
    reason: str
    text: str = ""
    """Pattern anywhere."""
    ask: str = ""
    """Pattern in the question: the last sentence."""
    story: str = ""
    """Pattern before the question."""


def any_of(*patterns: str) -> str:
    """One pattern that is found where any of them is."""
    return f"(?:{'|'.join(patterns)})"


def word(*patterns: str) -> str:
    """Like any_of, for whole words."""
    return rf"\b{any_of(*patterns)}\b"


COMPETITION_RULES: tuple[Rule, ...] = (
    Rule("functional_equations", 5.0, "functional equation", text=r"\b[fgh]\((?:x ?[+-] ?y|xy|f\(|g\()"),
    Rule("functional_equations", 3.0, "function given", text=r"\b[fghpq](?:\^\{?-1\}?)?\([^)]{1,12}\)[^.]{0,40}="),
    Rule("functional_equations", 2.0, "functions", text=word("functions?", "domain", "range of", "is linear")),
    Rule("bijection_counting", 4.0, "counting by matching", text=any_of("bijection", "one-to-one", r"\bsubsets?\b")),
    Rule("bijection_counting", 4.0, "paths", text=any_of("lattice path", r"paths of (?:unit )?steps", "grid of")),
    Rule("bijection_counting", 3.0, "equal things into boxes", text=any_of("identical", "indistinguish", "knockout")),
    Rule("bijection_counting", 3.0, "how many of a range", ask=r"how many [^?]*\bfrom \d+ to \d+|how many \w+ pairs"),
    Rule(
        "modular_arithmetic", 5.0, "residues", text=any_of(r"\\p?mod\b", r"\bmodu?l?o?\b", "remainder (?:of|when|is)")
    ),
    Rule("modular_arithmetic", 3.0, "last digits", text=r"(?:units|ones|last|final|tens)(?: two)? digit"),
    Rule(
        "graph_recurrence", 4.0, "recurrence", text=any_of("recurren", "recursive", "fibonacci", r"_\{?\(?n ?[+-] ?1")
    ),
    Rule("graph_recurrence", 4.0, "graph", text=any_of("vert(?:ex|ices) of degree", r"\bgraph with", "each vertex")),
    Rule("invariant_monovariant", 4.0, "moves", text=any_of("on a board", "each move", r"\ba move", "invariant")),
    Rule(
        "cyclic_groups",
        4.0,
        "group",
        text=any_of(r"\bcyclic", "roots? of unity", r"\b(?:group z|group mod)", "one cycle"),
    ),
    Rule(
        "cyclic_groups",
        2.5,
        "turning",
        text=any_of(r"rotat(?:e|ed|ing|ion)\b", r"\bclockwise", r"\bdial\b", "order of"),
    ),
    Rule("geometry_euclidean", 3.5, "figure", text=any_of(r"\\triangle", r"\btriang", "polygon", "hexagon", "trapez")),
    Rule("geometry_euclidean", 2.5, "circle or diagram", text=any_of(r"\bcircle", r"\[asy\]", "circumf", r"\bdiamet")),
    Rule("geometry_euclidean", 3.0, "measure", text=word("radi(?:us|i)", "perimeter", "angles?", "midpoint", "ladder")),
    Rule(
        "geometry_euclidean",
        3.0,
        "area or volume",
        text=word("area", "volume", r"cylind\w+", "spheres?", "cone", "tiles?"),
    ),
    Rule(
        "geometry_euclidean", 2.0, "solid", text=any_of(r"\bcubes\b", r"\bcube has", r"\brectang", "prism", "pyramid")
    ),
    Rule(
        "calculus_analysis",
        5.0,
        "analysis",
        text=any_of("derivative", r"\bintegral", r"\\int\b", r"\blimit of", r"\\lim\b"),
    ),
    Rule("calculus_analysis", 2.0, "slope of a curve", text=any_of("slope of y", "tangent line", "flows? at")),
    Rule(
        "calculus_analysis",
        4.0,
        "trigonometry",
        text=any_of(r"\\(?:sin|cos|tan|cot|sec|csc|arc\w+|theta)\b", "polar coor"),
    ),
    Rule(
        "calculus_analysis", 4.0, "vectors", text=any_of(r"\\mathbf", "pmatrix", r"\bvectors?\b", r"\bmatri(?:x|ces)\b")
    ),
    Rule(
        "optimization",
        4.0,
        "best value",
        text=any_of("maximi[sz]e", "minimi[sz]e", "cheapest", "least cost", "largest product"),
    ),
    Rule(
        "optimization",
        3.0,
        "extreme value",
        text=r"(?:maximum|minimum)(?: possible)? value|(?:find|what is) the (?:max|min)im",
    ),
    Rule(
        "optimization",
        2.0,
        "largest",
        ask=r"(?:largest|smallest|greatest) (?:possible )?(?:area|value|product|volume|sum)",
    ),
    Rule(
        "algebra_polynomials",
        4.0,
        "polynomial",
        text=any_of("polynomial", "quadratic", r"\broots? of", r"\bcoefficient"),
    ),
    Rule(
        "algebra_polynomials",
        3.0,
        "solve or rewrite",
        text=word("expand", "factor", r"simplify\w*", "solve", "equations?"),
    ),
    Rule(
        "algebra_polynomials",
        2.5,
        "formula",
        text=r"\b[abcxyz]\^\{?\d|\d[abcxyz]\b|\b[xyz] ?[+=-] ?\d|\bexpression\b|\\sqrt",
    ),
    Rule(
        "algebra_polynomials",
        2.0,
        "unknowns",
        text=r"(?<![\w$])[abcxyz] ?[+-] ?[abcxyz]\b|\\log|real numbers|complex numbers",
    ),
    Rule(
        "algebra_polynomials",
        2.0,
        "curve",
        text=word("slope", "intercept", "parabola", "hyperbola", "ellipse", r"asymptotes?"),
    ),
    Rule(
        "sequences_series", 4.0, "sequence", text=word("sequence", "series", "progression", "nth term", r"\w+ term of")
    ),
    Rule(
        "sequences_series",
        3.0,
        "sum",
        text=any_of(r"\\sum\b", r"\\cdots", r"\\dotsb?\b", "sum of the (?:odd|even|first)"),
    ),
    Rule(
        "probability_expectation",
        5.0,
        "chance",
        text=any_of("probabilit", "expected (?:value|prize)", r"\brandom", r"\bodds of"),
    ),
    Rule(
        "combinatorics_basic",
        4.0,
        "ways",
        text=any_of(r"how many (?:\w+ )?ways", "many (?:ways|orders)", r"\bpermutations"),
    ),
    Rule(
        "combinatorics_basic",
        3.0,
        "different",
        text=r"how many (?:different|distinct|possible|meals|teams|combinations)",
    ),
    Rule(
        "combinatorics_basic", 3.0, "binomial", text=any_of(r"\\d?binom", r"\bcommittee", r"\barrange", r"\bchoose\b")
    ),
    Rule(
        "inequalities",
        4.0,
        "inequality",
        text=any_of("inequalit", r"\\leq?\b", r"\\geq?\b", r"\bsatisf\w+ \|x", r"\bn[^.,]{0,14}[<>]"),
    ),
    Rule("inequalities", 2.0, "bound over positive numbers", text=r"for x > 0|positive (?:real )?numbers"),
    Rule(
        "number_theory_basic",
        4.0,
        "divisors",
        text=any_of("divisor", "divisible", r"\bprimes?\b", "common (?:multiple|div|fac)"),
    ),
    Rule("number_theory_basic", 3.0, "digits", text=any_of(r"\bdigits?\b", r"\bbase[- $]?\w", r"\d_\{?\d", "decimal")),
    Rule(
        "number_theory_basic",
        2.0,
        "whole numbers",
        text=any_of("positive integer", "whole number", "multiples? of", "perfect (?:sq|cu)"),
    ),
    Rule("number_theory_basic", 1.0, "integers", text=r"\bintegers?\b|factors of"),
    Rule(
        "logic_proof",
        4.0,
        "statements",
        text=any_of(r"\bprove\b", r"\bliar", r"who lies", r"\btruth", "to be sure", "who is the"),
    ),
    Rule("misc_other", 1.0, "nothing decisive"),
    Rule("misc_other", 3.0, "plain arithmetic", ask=r"^(?:compute|what is \d+ percent|how many minutes are)\b"),
)
"""The order decides nothing; ties go to the family that comes first in families.FAMILIES."""

SUBJECTS: dict[str, tuple[str, ...]] = {
    "Algebra": ("algebra_polynomials", "functional_equations", "inequalities", "sequences_series", "optimization"),
    "Intermediate Algebra": (
        "algebra_polynomials",
        "functional_equations",
        "inequalities",
        "sequences_series",
        "optimization",
        "graph_recurrence",
    ),
    "Precalculus": ("calculus_analysis", "cyclic_groups", "geometry_euclidean"),
    "Geometry": ("geometry_euclidean",),
    "Number Theory": ("number_theory_basic", "modular_arithmetic", "cyclic_groups"),
    "Counting & Probability": ("combinatorics_basic", "probability_expectation", "bijection_counting", "logic_proof"),
    "Prealgebra": (
        "misc_other",
        "algebra_polynomials",
        "geometry_euclidean",
        "number_theory_basic",
        "probability_expectation",
        "combinatorics_basic",
        "inequalities",
        "optimization",
        "sequences_series",
    ),
}
"""MATH subject -> the families it covers; the first is taken where no rule speaks for any of them."""

TYPES: dict[str, str] = {
    "Addition": "combinatorics_basic",
    "Subtraction": "invariant_monovariant",
    "Multiplication": "bijection_counting",
    "Common-Division": "modular_arithmetic",
    "Common-Divison": "modular_arithmetic",
}
"""SVAMP operation (as spelt there, both ways) -> the family it speaks for, as one more piece of evidence."""
TYPE_WEIGHT = 2.0
"""Log-odds that an operation adds to its family."""
