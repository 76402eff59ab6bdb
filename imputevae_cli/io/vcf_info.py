"""The INFO column: allele counts that follow the calls, and what an imputation says of a locus."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from imputevae_cli.data.frequencies import info_score
from imputevae_cli.data.genotypes import ImputedBlock

ADDED_INFO = (b"INFO", b"NIMP")
_COUNTED = re.compile(rb"(?:^|;)(?:AC|AN|AF|NS)=")
_ALLELES = re.compile(rb"[0-9]+|\.")


def impute_info(block: ImputedBlock) -> np.ndarray:
    """The IMPUTE `info_score` over the imputed calls of each locus, float64 (b,); NaN where none was imputed."""
    gp = block.gp.astype(np.int64)  # (samples, b, classes), thousandths
    ploidy = gp.shape[2] - 1
    counts = np.arange(ploidy + 1)
    e = gp @ counts
    spread = (1000 * (gp @ counts**2) - e * e) * block.imputed  # f - e^2 in millionths
    n = block.imputed.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        theta = (e * block.imputed).sum(axis=0) / (1000 * ploidy * n)
    return info_score(theta, spread.sum(axis=0), 1e6 * ploidy * n)


def counts_alleles(info: bytes) -> bool:
    """Whether an INFO column holds any of AC, AN, AF and NS."""
    return _COUNTED.search(info) is not None


def count_values(ac: Sequence[int], an: int, ns: int) -> dict[bytes, bytes]:
    """AC, AN, AF and NS as text; `ac` has one count for each ALT allele."""
    af = [b"%.6g" % (count / an) if an else b"." for count in ac]
    return {
        b"AC": b",".join(b"%d" % count for count in ac),
        b"AN": b"%d" % an,
        b"AF": b",".join(af),
        b"NS": b"%d" % ns,
    }


def count_alleles(cells: Sequence[bytes], n_alt: int) -> tuple[list[int], int, int]:
    """AC for each ALT, AN and NS of a record's sample columns, GT first; half-calls count with what they have."""
    alleles: Counter[bytes] = Counter()
    ns = 0
    for cell in cells:
        known = [allele for allele in _ALLELES.findall(cell.split(b":", 1)[0]) if allele != b"."]
        alleles.update(known)
        ns += bool(known)
    return [alleles[b"%d" % (k + 1)] for k in range(n_alt)], sum(alleles.values()), ns


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
    """Whether `old` says the same as `new` to the decimals it has: such text stays as it was."""
    olds, news = old.split(b","), new.split(b",")
    return len(olds) == len(news) and all(map(_same_number, olds, news))


def _same_number(old: bytes, new: bytes) -> bool:
    if old == new:
        return True
    whole, point, decimals = old.partition(b".")
    if not (point and whole.isdigit() and decimals.isdigit() and new != b"."):
        return False
    return abs(float(old) - float(new)) <= 0.5000001 * 10.0 ** -len(decimals)
