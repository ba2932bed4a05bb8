"""The evidence of a claim in words: which tables, which place, which values.

Here: a JSON value as a sentence. Not here: what evidence holds (science.claims), escaping (text).
"""

from __future__ import annotations

import json
from typing import Any

from squiggle_assets.report.text import mean


def evidence_words(evidence: str) -> str:
    """A claim's evidence as 'tables: geometry, run_manifest; arm: iid; ...'; what is no JSON object as it stands.

    What is empty is left out.
    """
    try:
        found = json.loads(evidence)
    except json.JSONDecodeError:
        return evidence
    if not isinstance(found, dict):
        return evidence
    order = sorted(found, key=lambda name: (name != "tables", name))
    return "; ".join(f"{name.replace('_', ' ')}: {_said(found[name])}" for name in order if found[name] not in ({}, []))


def _said(value: Any) -> str:
    if isinstance(value, dict):
        order = sorted(value, key=lambda name: (name.isdigit(), int(name) if name.isdigit() else 0))
        return ", ".join(f"{name} {_said(value[name])}" for name in order)
    if isinstance(value, list):
        return ", ".join(" ".join(map(_said, one)) if isinstance(one, list) else _said(one) for one in value)
    if value is None:
        return "none"
    return mean(value) if isinstance(value, float) else str(value)
