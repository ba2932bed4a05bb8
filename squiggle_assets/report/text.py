"""Numbers and untrusted text as words: formatting, cleaning, escaping for markdown.

Here: strings in, strings out. Not here: what is said (findings, *_report), escaping for HTML (jinja2 does it).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

MISSING = "–"
MAX_TEXT = 20_000
"""Characters of one text in a report; what is longer is cut and says so."""
_WHOLE_FROM = 999.5
"""From here on three significant digits are whole numbers."""

_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_MARKS = re.compile(r"([\\`*\[\]|~$])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LINE_START = re.compile(r"^(\d*)([#+=.)-])(?=\s|#|=|-|$)")


class Safe(str):
    """Markdown that is markup on purpose."""

    __slots__ = ()


def number(value: float | int | None) -> str:
    """Three significant digits; whole numbers whole; what is missing as a dash, never as 0."""
    if value is None or not math.isfinite(value):
        return MISSING if value is None or math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value == 0:
        return "0"
    whole = float(value).is_integer() or abs(value) >= _WHOLE_FROM
    return (f"{value:,.0f}" if whole else f"{value:.3g}").replace("-", "−")


_ROUNDING = 1e-12


def mean(value: float | None) -> str:
    """A measured number or mean with three significant digits, zeros at the end kept: 1.00 is no count of 1.

    What rounding leaves of a zero is 0.
    """
    if value is not None and abs(value) < _ROUNDING:
        return number(0)
    if value is None or not math.isfinite(value) or value == 0 or abs(value) >= _WHOLE_FROM:
        return number(value)
    return f"{value:#.3g}".rstrip(".").replace("-", "−")


def share(value: float | None) -> str:
    """A probability or share with three decimals; below .001 as '< .001'."""
    if value is None or math.isnan(value):
        return MISSING
    return "< .001" if 0 < value < 0.0005 else f"{value:.3f}"


def percent(value: float) -> str:
    """A share as whole per cent."""
    return f"{100 * value:.0f} %"


def interval(lo: float | None, hi: float | None, shown: Callable[[float], str] = mean) -> str:
    """[lo, hi], or the dash if one end is missing; shown: how an end is written."""
    if lo is None or hi is None or math.isnan(lo) or math.isnan(hi):
        return MISSING
    return f"[{shown(lo)}, {shown(hi)}]"


def with_interval(value: float | None, lo: float | None, hi: float | None) -> str:
    """A measured number with its interval, 'no interval' where that is missing; the dash without a number."""
    if value is None or math.isnan(value):
        return MISSING
    span = interval(lo, hi)
    return f"{mean(value)}, no interval" if span == MISSING else f"{mean(value)} {span}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """The count with its noun."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def listed(words: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def num_seeds(by_arm: Mapping[str, int]) -> str:
    """'n = 8 seeds in each of 6 arms', or arm by arm where they differ."""
    counts = set(by_arm.values())
    if not by_arm:
        return "n = 0 runs"
    if len(counts) == 1:
        return f"n = {plural(counts.pop(), 'seed')} in each of {plural(len(by_arm), 'arm')}"
    return "n = " + ", ".join(f"{count} ({arm})" for arm, count in by_arm.items()) + " seeds"


def clean(text: str) -> str:
    """Untrusted text that can be shown: control, invisible and direction-changing characters made visible, cut."""
    shown = _INVISIBLE.sub("\ufffd", text.replace("\r\n", "\n"))
    if len(shown) > MAX_TEXT:
        return f"{shown[:MAX_TEXT]}… ({len(text):,} characters in all)"
    return shown


def markdown_text(text: str) -> str:
    """Untrusted text as markdown that shows it and does nothing: no tag, link, image, emphasis or table border."""
    flat = " ".join(clean(text).split())
    safe = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = safe.replace("://", "&#58;//").replace("www.", "www&#46;").replace("mailto:", "mailto&#58;")
    return _LINE_START.sub(r"\1\\\2", _MARKS.sub(lambda mark: f"\\{mark.group()}", safe))


def markdown_code(text: str) -> Safe:
    """Untrusted text as a fenced block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Safe(f"{fence}text\n{clean(text)}\n{fence}")
