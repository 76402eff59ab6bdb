"""The INFO column: allele counts that follow the calls, and what an imputation says of a locus."""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from imputevae_cli.data.frequencies import info_score
from imputevae_cli.data.genotypes import ImputedBlock
from imputevae_cli.io.vcf_header import ADDED_INFO

_COUNTED = re.compile(rb"(?:^|;)(?:AC|AN|AF|NS|MAF|F_MISSING)=")
_ALLELES = re.compile(rb"[0-9]+|\.")


class AlleleCounts(NamedTuple):
    """What INFO counts in a record. ac: of each ALT allele. an: of all alleles. ns: samples with any allele.

    n_missing: samples without a whole call, half-calls included. n_samples: all.
    """

    ac: Sequence[int]
    an: int
    ns: int
    n_missing: int
    n_samples: int


def impute_info(block: ImputedBlock, haploid: np.ndarray | None = None) -> np.ndarray:
    """The IMPUTE `info_score` over the imputed calls of each locus, float64 (b,); NaN where none was imputed.

    haploid: bool (samples, b), cells that count as one allele; None where there are none.
    """
    gp = block.gp.astype(np.int64)  # (samples, b, classes), thousandths
    ploidy = gp.shape[2] - 1
    counts = np.arange(ploidy + 1)
    e = gp @ counts
    spread = (1000 * (gp @ counts**2) - e * e) * block.imputed  # f - e^2 in millionths
    n_alleles = ploidy * block.imputed.sum(axis=0)
    if haploid is not None and haploid.any():
        n_alleles = n_alleles - (haploid & block.imputed).sum(axis=0)
        e, spread = np.where(haploid, e / 2, e), np.where(haploid, spread / 4, spread)
    with np.errstate(invalid="ignore", divide="ignore"):
        theta = (e * block.imputed).sum(axis=0) / (1000 * n_alleles)
    return info_score(theta, spread.sum(axis=0), 1e6 * n_alleles)


def counts_alleles(info: bytes) -> bool:
    """Whether an INFO column holds any of AC, AN, AF, NS, MAF and F_MISSING."""
    return _COUNTED.search(info) is not None


def count_values(counts: AlleleCounts) -> dict[bytes, bytes]:
    """AC, AN, AF, NS, MAF and F_MISSING as text, as `bcftools +fill-tags` has them."""
    ac, an, ns, n_missing, n_samples = counts
    values = {b"AN": b"%d" % an, b"NS": b"%d" % ns, b"F_MISSING": _share(n_missing, n_samples)}
    if ac:  # with no ALT there is nothing to count
        values[b"AC"] = b",".join(b"%d" % count for count in ac)
        values[b"AF"] = b",".join(_share(count, an) for count in ac) if an else b"."
        values[b"MAF"] = _share(sorted([an - sum(ac), *ac])[-2], an)
    return values


def _share(part: int, whole: int) -> bytes:
    """A share at the precision of BCF's floats."""
    return b"%.6g" % struct.unpack("f", struct.pack("f", part / whole))[0] if whole else b"."


def count_alleles(cells: Sequence[bytes], n_alt: int) -> AlleleCounts:
    """The counts of a record's sample columns, GT first; half-calls count with what they have."""
    alleles: Counter[bytes] = Counter()
    ns = n_missing = 0
    for cell in cells:
        found = _ALLELES.findall(cell.split(b":", 1)[0])
        known = [allele for allele in found if allele != b"."]
        alleles.update(known)
        ns += bool(known)
        n_missing += len(known) < len(found)
    ac = [alleles[b"%d" % (k + 1)] for k in range(n_alt)]
    return AlleleCounts(ac, sum(alleles.values()), ns, n_missing, len(cells))


def update_info(info: bytes, replaced: Mapping[bytes, bytes], added: Mapping[bytes, bytes] | None = None) -> bytes:
    """INFO with the keys of `replaced` renewed where they are present, and `added`, if given, as our own at the end."""
    items = []
    for item in info.split(b";") if info not in (b".", b"") else ():
        key, equals, value = item.partition(b"=")
        if added is not None and key in ADDED_INFO:
            continue
        if equals and key in replaced and not _same_numbers(value, replaced[key]):
            item = key + b"=" + replaced[key]
        items.append(item)
    items.extend(key + b"=" + value for key, value in (added or {}).items())
    return b";".join(items) or b"."


def _same_numbers(old: bytes, new: bytes) -> bool:
    """Whether `old` is the very numbers of `new`, however they are spelled: such text stays as it was."""
    try:
        return old == new or [float(a) for a in old.split(b",")] == [float(b) for b in new.split(b",")]
    except ValueError:
        return False
