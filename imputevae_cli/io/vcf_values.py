"""The values of a FORMAT field of one record, as whole numbers: phred values or reads."""

from __future__ import annotations

import numpy as np

INT_MISSING, INT_END = -(2**31), -(2**31) + 1
"""htslib's numbers for a dot, and for places after the last value of a cell."""
MOST_PHRED = 1 << 20
FLOAT_END = 0x7F800002  # the bits of INT_END's float
BASES = "CATG"
"""The order of ipyrad's counts."""


def values_of(record, field: str) -> np.ndarray | None:
    """A field's values, int64 (N, w), in phred or reads, with INT_MISSING and INT_END; None where it is absent."""
    try:
        values = record.format(field)
    except KeyError:  # not declared, and in no record so far
        return None
    if values is None:
        return None
    if values.dtype.kind in "US":
        values = _numbers(values, field)
    if field == "CATG":
        return _of_alleles(values, record.REF, record.ALT[0])
    if field in ("GL", "GP"):
        return _phred(values.astype(np.float32, copy=False), is_log=field == "GL")
    return np.where(np.isnan(values), INT_MISSING, values).astype(np.int64) if values.dtype.kind == "f" else values


def depths_of(record) -> np.ndarray | None:
    """Reads of each cell, int64 (N,), -1 where unknown: DP, or the sum of AD."""
    for field in ("DP", "AD"):
        values = values_of(record, field)
        if values is not None:
            counts = np.where(values >= 0, values, 0).sum(1)
            return np.where((values >= 0).any(1), counts, -1)
    return None


def _numbers(texts: np.ndarray, field: str) -> np.ndarray:
    """The values of cells that are declared as text, such as `0,0,1,3`, as htslib would give numbers."""
    cells = [text.split(",") for text in texts.tolist()]
    width = max(map(len, cells))
    is_float = field in ("GL", "GP")
    end = np.array(FLOAT_END, np.int32).view(np.float32) if is_float else INT_END
    out = np.full((len(cells), width), end, np.float32 if is_float else np.int64)
    for row, cell in zip(out, cells, strict=True):
        for place, text in enumerate(cell):
            try:
                row[place] = float(text) if is_float else int(text)
            except ValueError:
                row[place] = np.nan if is_float else INT_MISSING
    return out


def _of_alleles(counts: np.ndarray, ref: str, alt: str) -> np.ndarray | None:
    """The reads of REF and ALT, int64 (N, 2), out of those of C, A, T and G; None where an allele is no base."""
    if counts.shape[1] != len(BASES) or ref.upper() not in BASES or alt.upper() not in BASES:
        return None
    return counts[:, [BASES.index(ref.upper()), BASES.index(alt.upper())]]


def _phred(values: np.ndarray, is_log: bool) -> np.ndarray:
    """Phred values, int64, of log10 likelihoods or of probabilities; INT_MISSING and INT_END as in `values`."""
    values = np.ascontiguousarray(values)
    ends = values.view(np.int32) == FLOAT_END
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = values if is_log else np.where(values < 0, np.nan, np.log10(np.maximum(values, 1e-30)))
        phred = np.minimum(-10 * logs.astype(np.float64), MOST_PHRED)
    out = np.where(np.isnan(phred), INT_MISSING, np.rint(np.where(np.isnan(phred), 0, phred))).astype(np.int64)
    out[ends] = INT_END
    return out


def of_width(values: np.ndarray, width: int) -> np.ndarray:
    """Values, int64 (N, w), as (N, width); a cell that has more is left with one, which is too few."""
    out = np.full((len(values), width), INT_END, np.int64)
    shared = min(width, values.shape[1])
    out[:, :shared] = values[:, :shared]
    if values.shape[1] > width:
        out[(values[:, width:] != INT_END).any(1), 1:] = INT_END
    return out
