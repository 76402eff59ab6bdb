"""The values of a FORMAT field of one record, as whole numbers: phred values or reads."""

from __future__ import annotations

import numpy as np

from imputevae_cli.data.alleles import genotypes, of_allele
from imputevae_cli.io.kernel_fields import INT_END, INT_MISSING
from imputevae_cli.io.vcf_fields import FLOAT_END, RecordFields

MOST_PHRED = 1 << 20
BASES = "CATG"
"""The order of ipyrad's counts."""


def values_of(record: RecordFields, field: str, allele: int = 0) -> np.ndarray | None:
    """A field's values, int64 (N, w), in phred or reads, with INT_MISSING and INT_END; None where it is absent.

    allele: of a record with several ALT alleles, the one that is counted, from 0 on: its values are against all others.
    """
    values = phred_values(record, field)
    if values is None:
        return None
    n_alt = record.alt.count(",") + 1
    if field == "CATG":
        return _of_bases(values, [record.ref, *record.alt.split(",")], allele)
    if n_alt == 1:
        return values
    return _reads_against(values, allele, n_alt) if field == "AD" else _best_of_genotypes(values, allele, n_alt)


def phred_values(record: RecordFields, field: str) -> np.ndarray | None:
    """A field's values as they are but for GL and GP, which are made phred, int64 (N, w); None where it is absent."""
    values = record.values(field)
    return values if values is None or field not in ("GL", "GP") else _phred(values, is_log=field == "GL")


def _reads_against(reads: np.ndarray, allele: int, n_alt: int) -> np.ndarray:
    """The reads of all other alleles and of one ALT, int64 (N, 2), from those of every allele, (N, w)."""
    out = np.full((len(reads), 2), INT_END, np.int64)
    reads = of_width(reads, n_alt + 1)
    whole = _has_length(reads, n_alt + 1)
    some = reads[whole]
    out[whole, 1] = some[:, allele + 1]
    out[whole, 0] = some.sum(1) - some[:, allele + 1]
    out[whole] = np.where((some == INT_MISSING).any(1)[:, None], INT_MISSING, out[whole])
    out[whole] = np.where((some < 0).any(1)[:, None] & (out[whole] != INT_MISSING), -1, out[whole])
    return out


def _best_of_genotypes(values: np.ndarray, allele: int, n_alt: int) -> np.ndarray:
    """Phred values by the copies of one ALT, int64 (N, 3), each the least of its genotypes, from those of a haploid's
    alleles or of a diploid's genotypes, (N, w). A cell of another length is left with one value, which is too few."""
    out = np.full((len(values), 3), INT_END, np.int64)
    values = of_width(values, len(genotypes(n_alt)))
    out[:, 0] = values[:, 0]
    haploid, diploid = _has_length(values, n_alt + 1), _has_length(values, len(genotypes(n_alt)))
    some = values[haploid, : n_alt + 1]
    out[haploid, 0] = np.delete(some, allele + 1, axis=1).min(1)
    out[haploid, 1] = some[:, allele + 1]
    out[diploid] = of_allele(values[diploid], allele, n_alt)
    return out


def _has_length(values: np.ndarray, length: int) -> np.ndarray:
    """bool (N,): cells of so many values."""
    return np.asarray(np.sum(values != INT_END, axis=1) == length)


def depths_of(record: RecordFields) -> np.ndarray | None:
    """Reads of each cell, int64 (N,), -1 where unknown: DP, or the sum of AD."""
    for field in ("DP", "AD"):
        values = values_of(record, field)
        if values is not None:
            counts = np.where(values >= 0, values, 0).sum(1)
            return np.where((values >= 0).any(1), counts, -1)
    return None


def _of_bases(counts: np.ndarray, alleles: list[str], allele: int) -> np.ndarray | None:
    """The reads of all other alleles and of one ALT, int64 (N, 2), out of those of C, A, T and G.

    None where an allele is no base."""
    if counts.shape[1] != len(BASES) or any(name.upper() not in BASES or len(name) != 1 for name in alleles):
        return None
    at = [BASES.index(name.upper()) for name in alleles]
    own = at.pop(allele + 1)
    return np.stack([counts[:, at].sum(1), counts[:, own]], 1)


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
