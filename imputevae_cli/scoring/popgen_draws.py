"""What draws from the posterior do to population genetics, beside the likeliest genotypes.

The likeliest genotype is too often the common one: filled in, it makes samples more alike than they are. Genotypes that
are drawn from their posterior are wrong more often, one by one, but keep the figures of populations (Rubin 1987).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

RARE = 0.05
"""A minor allele is rare up to this frequency."""
STATISTICS = {
    "ho": "Ho", "he": "He", "fis": "FIS", "fst": "Fst", "monomorphic": "loci of one allele", "rare": "rare alleles"
}  # fmt: skip
"""What the statistics are called."""
DRAWN = {"imputed": "drawn", "imputed_same_cells": "drawn_same_cells"}
"""What the views of a draw are called beside those of the likeliest genotypes."""


def with_draws(result: dict[str, Any], each: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Put the mean over draws beside the other views of every figure, in place; returns the summary of draws.

    result: figures of the likeliest genotypes, and each: of each draw, as `popgen.bias` has them.
    """
    _add_means(result, each)
    return _summary_of_draws(result, each)


def _add_means(result: dict[str, Any], each: Sequence[dict[str, Any]]) -> None:
    for view in [view for view in result["views"] if view in DRAWN]:
        name = DRAWN[view]
        result["views"].append(name)
        for i, row in enumerate(result["heterozygosity"]):
            found = [one["heterozygosity"][i][view] for one in each]
            row[name] = {key: _mean([of_draw[key] for of_draw in found]) for key in ("ho", "he", "fis")}
            row[name]["loci"] = row[view]["loci"]
        for i, row in enumerate(result["fst"]):
            row[name] = _mean([one["fst"][i][view] for one in each])
        result["spectrum"][name] = [
            _mean(shares) for shares in zip(*(one["spectrum"][view] for one in each), strict=True)
        ]


def _summary_of_draws(result: dict[str, Any], each: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the likeliest genotypes and draws do to each statistic, a row a statistic with a value of each view.

    Ho, He and FIS are means over populations, Fst over pairs of them; monomorphic and rare are the shares of loci with
    a minor allele frequency of 0 and of at most RARE, over all samples. drawn: the mean over draws, spread: its
    standard deviation from draw to draw, None for one. truth is None where it is not known.
    """
    drawn = [_summary(one) for one in each]
    rows = []
    for key, of_view in _summary(result).items():
        row = {"statistic": key, "truth": None, **of_view}
        for view in [view for view in of_view if view in DRAWN]:
            row[DRAWN[view]] = _mean([one[key][view] for one in drawn])
        values = [value for one in drawn if (value := one[key]["imputed"]) is not None]
        row["spread"] = round(float(np.std(values, ddof=1)), 6) if len(values) > 1 else None
        if values:
            rows.append(row)
    return {"n": len(each), "rows": rows}


def _summary(result: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """Each statistic of each view, averaged over populations, pairs or bins."""
    views = [view for view in result["views"] if view not in DRAWN.values()]
    found: dict[str, dict[str, float | None]] = {
        key: {view: _mean([row[view][key] for row in result["heterozygosity"]]) for view in views}
        for key in ("ho", "he", "fis")
    }
    found["fst"] = {view: _mean([row[view] for row in result["fst"]]) for view in views}
    spectrum = result["spectrum"]
    n_rare = 1 + sum(0 < edge <= RARE for edge in spectrum["edges"])
    found["monomorphic"] = {view: spectrum[view][0] for view in views}
    found["rare"] = {view: round(sum(spectrum[view][1:n_rare]), 6) for view in views}
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 6) if known else None


def draws_in_words(draws: dict[str, Any] | None) -> str | None:
    """How far draws are from the truth, beside the likeliest genotypes; None without draws or truth."""
    if draws is None:
        return None
    parts = [
        f"{STATISTICS[row['statistic']]} {row['truth']:.3f}, {row['imputed']:.3f} and {row['drawn']:.3f}"
        for row in draws["rows"]
        if row["truth"] is not None and row["imputed"] is not None
    ]
    drawn = "one draw" if draws["n"] == 1 else f"the mean of {draws['n']} draws"
    return f"With the true calls, the likeliest genotypes, and {drawn}: {'; '.join(parts)}." if parts else None
