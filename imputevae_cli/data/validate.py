"""Whether genotypes are what they are said to be, in type, shape and range; an InputError says what is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from imputevae_cli.errors import InputError

if TYPE_CHECKING:
    from imputevae_cli.data.genotypes import GenotypeMatrix, Loci


def check_calls(calls: Any, ploidy: Any, missing: int) -> None:
    """Raise InputError unless `calls` is int8 (samples, loci) of values `missing` to `ploidy`."""
    if not isinstance(ploidy, (int, np.integer)) or isinstance(ploidy, bool) or not 1 <= ploidy < 127:
        raise InputError(f"genotypes: the ploidy is {ploidy!r}; give a whole number, 2 for diploids")
    if not isinstance(calls, np.ndarray):
        raise InputError(f"genotypes: calls are a {type(calls).__name__}; give a numpy array of int8")
    if calls.ndim != 2:
        raise InputError(f"genotypes: calls have the shape {calls.shape}; give (samples, loci)")
    if calls.dtype != np.int8:
        what = "hold NaN and" if calls.dtype.kind == "f" and np.isnan(calls).any() else ""
        raise InputError(
            f"genotypes: calls {what}{' ' * bool(what)}are of type {calls.dtype}; make them int8, with {missing} for "
            "what is missing"
        )
    if calls.size and (calls.min() < missing or calls.max() > ploidy):
        sample, locus = np.argwhere((calls < missing) | (calls > ploidy))[0].tolist()
        raise InputError(
            f"genotypes: the call of sample {sample} at locus {locus} is {calls[sample, locus]}; give counts of ALT "
            f"alleles from 0 to {ploidy}, and {missing} for what is missing"
        )


def check_lengths(genotypes: GenotypeMatrix) -> None:
    """Raise InputError unless samples, loci and populations are as many as the calls say."""
    n_samples, n_loci = genotypes.calls.shape
    columns: dict[str, tuple[Any, int]] = {"samples": (genotypes.samples, n_samples)}
    columns |= {
        f"loci.{name}": (getattr(genotypes.loci, name), n_loci) for name in ("chrom", "pos", "ref", "alt", "cm")
    }
    columns["populations"] = genotypes.populations, n_samples
    for name, (column, expected) in columns.items():
        if column is None and name in ("loci.cm", "populations"):
            continue
        if isinstance(column, str) or not isinstance(column, (Sequence, np.ndarray)) or len(column) != expected:
            found = len(column) if hasattr(column, "__len__") and not isinstance(column, str) else repr(column)
            raise InputError(f"genotypes: {name} are {found}, the calls have {expected}; give one for each")


def check_content(genotypes: GenotypeMatrix) -> None:
    """Raise InputError unless names are texts and positions numbers; looks at every one of them."""
    _check_texts("samples", genotypes.samples)
    if len(set(genotypes.samples)) < len(genotypes.samples):
        raise InputError("genotypes: two samples have one name; give every sample a name of its own")
    if genotypes.populations is not None:
        _check_texts("populations", genotypes.populations)
    _check_loci(genotypes.loci)


def _check_loci(loci: Loci) -> None:
    for name in ("chrom", "ref", "alt"):
        _check_texts(f"loci.{name}", getattr(loci, name))
    pos = np.asarray(loci.pos)
    if pos.dtype.kind not in "iu":
        raise InputError(f"genotypes: loci.pos are of type {pos.dtype}; give whole numbers")
    if loci.cm is not None and not (np.asarray(loci.cm).dtype.kind == "f" and np.isfinite(loci.cm).all()):
        raise InputError("genotypes: loci.cm are not all finite numbers; give centimorgans, or None without a map")


def _check_texts(name: str, column: Sequence[str] | np.ndarray) -> None:
    for place, value in enumerate(column):
        if not isinstance(value, str) or not value:
            raise InputError(f"genotypes: {name}[{place}] is {value!r}; give a text that is not empty")
