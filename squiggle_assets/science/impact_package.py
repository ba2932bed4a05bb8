"""What an impact study hands on: the core as items, its curriculum, what it expects to be drawn, what was found.

Here: from tables to the bytes of the package's files. Not here: the tables (impact_core, impact_claims), storing them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from squiggle_assets.science.canonical import canonical_json
from squiggle_assets.science.impact_core import IMPACT
from squiggle_assets.science.impact_template import NAMES
from squiggle_assets.science.waves import FollowUp

VERSION = "impact_package@1"
_EVIDENCE = ("lift", "lb05", "p_lags", "q_value", "effect", "effect_q", "is_trigger", "is_significant", "event_q")
_IDS = ("arm", "analysis_id", "probe_set", "consensus_event_id", "event_signature")
_OWN = "generated"
"""Source of items that this project's generators made."""


def package_files(
    *,
    cores: pl.DataFrame,
    pool: pl.DataFrame,
    followups: Sequence[FollowUp],
    curricula: pl.DataFrame,
    exposure: pl.DataFrame,
    claims: pl.DataFrame,
    effects: pl.DataFrame,
) -> dict[str, bytes]:
    """File name -> bytes.

    impact_core.jsonl (empty without a selection), impact_ramp.yaml of the first weight and impact_ramp_w<w>.yaml of
    further ones, all controls under controls/ (random cores from the second draw on as random_core_2.jsonl and
    random_core_ramp_2.yaml), expected_exposure.jsonl of the arms with a core, claims and effects.
    curricula, exposure: rows of the confirmation wave's tables of these names; followups in the study's order.
    """
    made = {(each.core, each.draw): None for each in followups if each.core is not None}
    files = {
        f"{'' if core == IMPACT else 'controls/'}{core}_core{_draw(draw)}.jsonl": _items(cores, pool, core, draw)
        for core, draw in made
    }
    texts = dict(curricula.select("arm", "yaml_text").iter_rows())
    first = next((each.weight for each in followups if each.core is not None), None)
    for each in followups:
        if each.core is not None and each.name in texts:
            more = "" if each.weight == first else f"_w{each.weight}"
            folder = "" if each.core == IMPACT else "controls/"
            files[f"{folder}{NAMES[each.core]}{_draw(each.draw)}{more}.yaml"] = texts[each.name].encode("utf-8")
    with_core = [each.name for each in followups if each.core is not None]
    drawn = exposure.filter(pl.col("arm").is_in(with_core) & (pl.col("expected_draws") > 0))
    files["expected_exposure.jsonl"] = _lines(drawn.sort("arm", "phase_idx", "item_id"))
    files["claims.jsonl"] = _lines(claims)
    files["effects.jsonl"] = _lines(effects)
    return files


def package_manifest(
    files: Mapping[str, bytes],
    *,
    status: Mapping[str, Any],
    cores: pl.DataFrame,
    pool: pl.DataFrame,
    claims: pl.DataFrame,
    curricula: pl.DataFrame,
    seeds: Mapping[str, Sequence[int]],
    inputs: Mapping[str, str],
) -> dict[str, Any]:
    """What the package rests on: status of the core, verdicts, curricula, seeds, content hashes of inputs and files.

    inputs: 'asset/arm/seed' -> sha256 of everything that the package was made from. Sources are those of all cores:
    items of the controls are handed on too.
    """
    own = pool.join(cores, on="item_id", how="semi")
    sources = sorted(own["source"].unique().to_list())
    return {
        "package_version": VERSION,
        "status": dict(status),
        "verdicts": {str(claim): str(verdict) for claim, verdict in claims.select("claim", "verdict").iter_rows()},
        "curriculum_id": dict(curricula.sort("arm").select("arm", "curriculum_id").iter_rows()),
        "seeds": {name: list(own_seeds) for name, own_seeds in seeds.items()},
        "source_licences": {
            name: "that of this project" if name == _OWN else "that of the source; look there before passing items on"
            for name in sources
        },
        "inputs": dict(inputs),
        "files": [
            {
                "path": name,
                "bytes": len(content),
                "rows": content.count(b"\n") if name.endswith((".jsonl", ".csv")) else None,
                "sha256": hashlib.sha256(content).hexdigest(),
            }
            for name, content in sorted(files.items())
        ],
    }


def _draw(draw: int) -> str:
    return f"_{draw + 1}" if draw else ""


def _items(cores: pl.DataFrame, pool: pl.DataFrame, core: str, draw: int) -> bytes:
    """One line an item, best first: all it is in the pool, its rank and base loss, and for the core its evidence."""
    own = cores.filter((pl.col("core") == core) & (pl.col("draw") == draw)).sort("rank")
    evidence = [*_EVIDENCE, *_IDS] if core == IMPACT else ["replaces"]
    chosen = own.select("rank", "item_id", "base_loss", *(pl.col(name) for name in evidence))
    rows = chosen.rename({"arm": "evidence_arm"}, strict=False).join(pool, on="item_id", how="left").sort("rank")
    return _lines(rows)


def _lines(rows: pl.DataFrame) -> bytes:
    plain = rows.with_columns(pl.col(pl.Float64, pl.Float32).fill_nan(None))
    return "".join(canonical_json(row) + "\n" for row in plain.iter_rows(named=True)).encode("utf-8")
