"""What a family means for a grade-school word problem, and the rules that see it.

Here: data: patterns, weights, reasons. Not here: rules for competition text (science.family_rules) and scoring
(science.classify).

The families were named for competition problems. A word problem uses no functional equation and no cyclic group;
for such text a name is the NEAREST strategy, by this table, and the record's confidence says how near:

functional_equations     the result of a known rule is given, find what went in (work backwards)
bijection_counting       groups within groups: every thing belongs to exactly one group
modular_arithmetic       leftovers, whole packs, change of units, change into coins
graph_recurrence         a chain: each value is defined by the one before it (twice as many as, 3 more than, doubles)
invariant_monovariant    parts and a whole that stays: what is left, what is shared, what is moved
cyclic_groups            days of the week, the clock, turns and shifts that come round
geometry_euclidean       lengths, areas, shapes
calculus_analysis        rates: speed, wage, work, growth per unit of time
optimization             money: cost, budget, profit, comparing offers
algebra_polynomials      several conditions on several unknowns, or a formula to solve
sequences_series         the same step every time, or a sum over periods
probability_expectation  averages, percentages, fractions of a population, chances
combinatorics_basic      the rule of sum and of product: kinds added up, choices multiplied
inequalities             how much more or less, at least, at most, enough
number_theory_basic      ratios, multiples, divisors, digits
logic_proof              overlapping groups, who is who
misc_other               nothing above is seen
"""

from __future__ import annotations

from squiggle_assets.science.family_rules import Rule, any_of, word

NUMBER = any_of(r"\d+", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "a few")
TIMES = any_of("twice", "thrice", "double", "triple", "half", "a (?:third|quarter)", f"{NUMBER} times", r"\d/\d(?:th)?")
MORE = any_of(f"{NUMBER}(?: \\w+){{0,3}} (?:more|fewer|less|older|younger|longer|taller)", f"{TIMES}(?: the)?")
COMPARISON = rf"\b{MORE}\b[^.?!]{{0,30}}?\b(?:as|than|the number|the amount|{any_of('his', 'her', 'that')})\b"
TOTAL = word("total", "combined", "together", "altogether", "in all", "sum")
PERIOD = any_of("second", "minute", "hour", "day", "night", "week", "month", "year", "morning", "weekend")
MONEY = any_of(
    r"\$\d", "dollars?", "cents?", r"\bcosts?\b", r"\bprice", r"\bpa(?:y|id)\b", r"\bspen[dt]", r"\bearn", "profit"
)
PACKS = any_of(
    "boxes", "packs?", "packages", "packets", "bags", "trips", "buses", "vans", "cars", "dozens?", "tables", "cans",
    "bottles", "gallons", "batches", "sheets", "rolls", "jars", "containers", "times", "rows", "groups", "teams",
)  # fmt: skip
UNITS = any_of(
    "hours", "minutes", "seconds", "days", "weeks", "months", "years", "feet", "inches", "quarters", "nickels",
    "dimes", "pennies", "pounds", "ounces", "yards", "cups",
)  # fmt: skip
CONTAINERS = any_of(
    "box", "bag", "pack", "packet", "carton", "crate", "row", "shel[fv]", "page", "basket", "rack", "bunch", "case",
    "tray", "bush", "class", "team", "package",
)  # fmt: skip
WEEKDAY = any_of("mon", "tues", "wednes", "thurs", "fri", "satur", "sun") + "days?"
ROUND = any_of(PERIOD, "round", "half", "quarter", "game", "lap", "test")
FRACTION = any_of("half", "halves", "thirds?", "quarters?", "fourths?", "fifths?", "sixths?", "eighths?", "tenths?")

WORD_RULES: tuple[Rule, ...] = (
    Rule(
        "functional_equations",
        3.0,
        "start asked",
        ask=any_of(
            "at first", "originally", "to (?:start|begin)", r"start(?:ed)? (?:off )?with", "initially", r"\bbefore\b"
        ),
    ),
    Rule(
        "functional_equations",
        3.5,
        "unit price from a total",
        story=any_of("change", "total", "spen[dt]", r"\bpa(?:id|y)s?\b", "back", "altogether", "leaves"),
        ask=r"(?:how much|what)[^?]*\b(?:each|one|per|a)\b[^?]*(?:cost|price)|(?:cost|price) of (?:each|one|a)\b",
    ),
    Rule(
        "functional_equations", 2.5, "rule applied to an unknown", story=rf"{NUMBER} (?:more|fewer|less) than {TIMES}"
    ),
    Rule(
        "functional_equations",
        2.5,
        "how many made the result",
        story=rf"(?:earned|made|spent|paid|raised|leaves|ended up)[^.]*\d[^.]*\.\s*$|{NUMBER} left\.\s*$",
        ask=r"how many [^?]*\bdid\b|how (?:many|much) [^?]*\b(?:was|were)\b",
    ),
    Rule(
        "bijection_counting",
        2.5,
        "so many in each",
        text=r"\b(?:in|on|to|for) each\b|\b(?:each|every) (?:\w+ ){0,3}(?:has|have|had|holds?|contain\w*|gets?)\b",
    ),
    Rule("bijection_counting", 2.0, "containers", text=rf"\b{CONTAINERS}(?:e?s)? (?:of|with|contain\w*|that|each)\b"),
    Rule("bijection_counting", 1.5, "counted per container", text=rf"\bper (?:{CONTAINERS}|person|table|player|child)"),
    Rule(
        "modular_arithmetic",
        3.5,
        "leftover",
        text=any_of("left ?over", r"(?:equally|evenly) (?:among|between|into)", r"equal(?:ly)? \w*groups"),
    ),
    Rule("modular_arithmetic", 2.5, "whole packs asked", ask=rf"how many (?:\w+ ){{0,2}}{PACKS}\b(?! of)"),
    Rule(
        "modular_arithmetic",
        2.5,
        "units changed",
        ask=rf"how many {UNITS}\b|\bin (?:hours|minutes|cents|inches|feet|pounds|ounces|dozens)\b",
    ),
    Rule(
        "modular_arithmetic", 1.5, "coins or dozens", text=word("dozens?", "quarters", "nickels?", "dimes?", "pennies")
    ),
    Rule("graph_recurrence", 3.0, "chain of comparisons", story=rf"{COMPARISON}.*{COMPARISON}"),
    Rule("graph_recurrence", 2.5, "value from another", text=COMPARISON),
    Rule(
        "graph_recurrence", 3.5, "multiplies each time", text=word("doubl(?:es|ed|ing)", "tripl(?:es|ed|ing)", "halves")
    ),
    Rule("graph_recurrence", 2.0, "ages", text=any_of(r"\byears (?:old|ago|older|younger)", r"\bage\b", "how old")),
    Rule(
        "invariant_monovariant",
        3.5,
        "what is left",
        ask=word("left(?! an? )", "remain(?:s|ed|ing)?", "still", "the rest", "now", "unsold", "unused"),
    ),
    Rule("invariant_monovariant", 2.0, "the rest", story=word("the rest", "remaining", "remainder", "the others?")),
    Rule(
        "invariant_monovariant",
        1.5,
        "given and taken",
        story=word(
            "gave", "gives?", "lost", "loses", "ate", "eats", "took", r"donate\w*", "traded", "lent", "broke", "moved"
        ),
    ),
    Rule(
        "invariant_monovariant",
        2.0,
        "shared",
        text=word("shared?", "shar(?:es?|ing) .* equally", r"redistribut\w+", "splits?", "divided (?:equally|evenly)"),
    ),
    Rule("cyclic_groups", 3.0, "weekdays", text=rf"\b{WEEKDAY}\b.*\b{WEEKDAY}\b"),
    Rule(
        "cyclic_groups",
        3.0,
        "comes round",
        text=any_of(rf"every (?:other|{NUMBER}) {PERIOD}", r"\bshifts?\b", "day of the week", r"\blaps?\b"),
    ),
    Rule("cyclic_groups", 3.0, "clock", text=any_of(r"\b\d{1,2}(?::\d\d)? ?[ap]\.?m\b", "o'clock", r"\d:\d\d")),
    Rule(
        "geometry_euclidean", 3.0, "dimensions", text=r"\d+[- ]?(?:feet|foot|inch(?:es)?|meters?|cm|m|ft)? (?:by|x) \d+"
    ),
    Rule(
        "geometry_euclidean",
        3.0,
        "square measure",
        text=r"\bsquare (?:feet|foot|yard|meter|inch|mile|cm)|\bslope\b|steep",
    ),
    Rule(
        "geometry_euclidean",
        1.5,
        "lengths",
        text=word("feet", "inches", "meters?", "long", "tall", "height", "length", "wide"),
    ),
    Rule(
        "geometry_euclidean",
        1.5,
        "directions",
        text=word(r"vertical\w*", r"horizontal\w*", "width", "diagonal", "corner"),
    ),
    Rule(
        "calculus_analysis",
        3.5,
        "speed",
        text=any_of(
            r"(?:miles?|km|kilometers?) (?:per|an|a|every) ", r"\bmph\b", r"\bspeed", "per (?:second|minute|hour)"
        ),
    ),
    Rule("calculus_analysis", 2.0, "rate", text=rf"\b(?:per|an?|each|every) {PERIOD}\b"),
    Rule(
        "calculus_analysis",
        2.0,
        "over a time",
        ask=rf"\b(?:in|for|after|over|during|per|each|every|a) (?:\w+ ){{0,3}}{PERIOD}s?\b|how (?:long|far|fast)\b",
    ),
    Rule(
        "calculus_analysis",
        2.0,
        "work",
        text=any_of("how long (?:would|will|does|did)", "hourly", r"\brate of\b", "faster"),
    ),
    Rule("optimization", 2.5, "money asked", ask=any_of(MONEY, "how much (?:money|change|did|does|will)"), text=MONEY),
    Rule(
        "optimization",
        2.0,
        "prices",
        text=r"\$ ?\d[\d.,]*.{0,60}\$ ?\d|(?:costs?|for|at|are) \$ ?\d[\d.,]* (?:each|per|apiece|an?)\b",
    ),
    Rule(
        "optimization",
        1.5,
        "buying and selling",
        text=word(
            "buys?",
            "bought",
            r"purchas\w+",
            "sells?",
            "sold",
            "profit",
            "discount",
            "budget",
            "afford",
            "rent",
            "store",
        ),
    ),
    Rule(
        "algebra_polynomials",
        6.0,
        "total and comparison",
        text=any_of(
            f"{COMPARISON}.*(?:{TOTAL}|there (?:are|were))",
            rf"(?:{TOTAL}|there (?:are|were)|spen[dt])[^.]*\d.*{COMPARISON}",
        ),
        ask=rf"^(?!.*{TOTAL}).*(?:how (?:many|much|old|tall|long)|what is|find)",
    ),
    Rule(
        "algebra_polynomials",
        2.0,
        "sum of two",
        text=r"(?:sum|difference|product) of (?:two|the|three)|\btwo numbers\b",
    ),
    Rule(
        "sequences_series",
        3.5,
        "same step each time",
        text=rf"(?:increas|decreas|more|less|fewer|drops?|rises?|adds?)[^.]{{0,50}}(?:each|every) (?:\w+ )?{PERIOD}"
        rf"|(?:each|every) (?:\w+ )?{PERIOD}[^.]{{0,60}}(?:increas|decreas)|than (?:the )?(?:previous|day before)",
    ),
    Rule(
        "sequences_series",
        3.0,
        "periods listed",
        text=rf"first (?:\w+ ){{0,2}}{ROUND}s?\b.*(?:second|third|next|last|rest of|following) (?:\w+ ){{0,2}}{ROUND}",
    ),
    Rule("probability_expectation", 4.0, "average", text=word(r"averag\w+", "mean", "median")),
    Rule("probability_expectation", 3.0, "percentage", text=r"\d ?%|\bpercent"),
    Rule(
        "probability_expectation",
        2.5,
        "fraction of a whole",
        text=rf"\d+/\d+(?:th)?s? of|\b{FRACTION} (?:of|the|are|were|that|have)\b|one-{FRACTION}",
    ),
    Rule("combinatorics_basic", 2.0, "kinds added up", ask=TOTAL),
    Rule("combinatorics_basic", 1.5, "kinds listed", story=r"\d+ \w+(?: \w+)?, (?:and )?\d+ \w+(?: \w+)?,? and \d+"),
    Rule(
        "inequalities",
        3.5,
        "how much more",
        ask=r"how (?:much|many) (?:\w+ )?(?:more|less|fewer|longer|older|taller|cheaper|farther|extra)\b|difference",
    ),
    Rule(
        "inequalities",
        3.0,
        "bound",
        text=any_of(
            "at least",
            "at most",
            r"as many [^.?]* can",
            "no more than",
            r"\benough\b",
            r"\bcapacity",
            "can (?:only )?(?:carry|hold)",
        ),
    ),
    Rule("inequalities", 2.0, "still needed", ask=word("needs?", "needed", "have to", "must", "short")),
    Rule(
        "number_theory_basic",
        4.0,
        "ratio",
        text=any_of(r"\bratio\b", r"\bproportion", r"for every \d+", r"\b\d:\d\b(?!\d)"),
    ),
    Rule(
        "logic_proof",
        3.5,
        "overlapping groups",
        text=any_of(r"\bneither\b", r"both (?:\w+ ){1,3}and\b", "only like", "do both"),
    ),
    Rule("logic_proof", 3.0, "two-way table", story=r"\bhave\b.*\brest\b.*\b(?:half|some)\b"),
)
