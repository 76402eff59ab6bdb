"""Reading Zarr VCF, as bio2zarr and sgkit write it, by way of VCF text.

Genotypes, filters and the fields that say how certain a call is are read; INFO and other fields are not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imputevae_cli.data.genotypes import Loci
from imputevae_cli.errors import InputError
from imputevae_cli.io.bgzf import BgzfFile
from imputevae_cli.io.inputs.vcf_text_of_arrays import MADE_OF, Records, header, lines, texts_of_alleles
from imputevae_cli.optional import optional

NEEDED = ("sample_id", "variant_contig", "variant_position", "variant_allele", "call_genotype")
GROUP_FILES = (".zgroup", "zarr.json")
"""One of these is in the folder of every store, of version 2 or 3."""
CHUNK = 1000
"""Loci at a time, where the store does not say."""


def is_store(path: Path) -> bool:
    """Whether a path is the folder of a Zarr group."""
    return path.is_dir() and any((path / name).is_file() for name in GROUP_FILES)


def write_as_vcf(path: Path, name: str, out: Path) -> None:
    """Write a store as a VCF.gz at `out`. Raises InputError where it cannot be used, ConfigError without zarr."""
    zarr = optional("zarr", f"{name}: reading Zarr VCF", "zarr", least=3)
    try:
        store = zarr.open_group(str(path), mode="r", use_consolidated=False)
        lacking = [array for array in NEEDED if array not in store]
    except Exception as error:  # of zarr, of whatever kind
        raise InputError(f"{name}: the Zarr store cannot be read ({error}); make it again") from error
    if lacking:
        raise InputError(f"{name}: the store has no array {lacking[0]}; give one as `bio2zarr` or `sgkit` writes it")
    try:
        _Store(store, name).copy_into(out)
    except (ValueError, IndexError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{name}: the arrays of the store do not fit together ({error}); make it again") from error


class _Store:
    """An open store of whose arrays the needed ones are there."""

    def __init__(self, store: Any, name: str):
        self._store, self._name = store, name
        self._samples = _texts(store["sample_id"][...])
        self._contigs = _texts(store["contig_id"][...] if "contig_id" in store else store.attrs["contigs"])
        self._keys = ["GT", *(key for key in MADE_OF if f"call_{key}" in store)]

    def copy_into(self, out: Path) -> None:
        n_loci = self._store["variant_position"].shape[0]
        size = self._store["call_genotype"].chunks[0] or CHUNK
        with BgzfFile(out, 1) as file:
            file.write(header(self._samples.tolist(), self._contigs.tolist(), self._keys))
            for start in range(0, n_loci, size):
                file.write(b"".join(lines(self._records(slice(start, min(start + size, n_loci))))))

    def _records(self, part: slice) -> Records:
        alleles = _texts(self._store["variant_allele"][part])
        alt = np.array([",".join(filter(None, row[1:])) or "." for row in alleles.tolist()], object)
        loci = Loci(
            self._contigs[self._store["variant_contig"][part]],
            self._store["variant_position"][part].astype(np.int64),
            alleles[:, 0],
            alt,
            ids=_texts(self._store["variant_id"][part]) if "variant_id" in self._store else None,
        )
        genotypes = np.asarray(self._store["call_genotype"][part])
        phased = self._cells("call_genotype_phased", part, lambda: np.zeros(genotypes.shape[:2], bool))
        cells = {"GT": texts_of_alleles(genotypes, phased)}
        cells |= {key: _values(np.asarray(self._store[f"call_{key}"][part])) for key in self._keys[1:]}
        return Records(loci, cells, self._filters(part))

    def _cells(self, name: str, part: slice, otherwise: Callable[[], np.ndarray]) -> np.ndarray:
        return np.asarray(self._store[name][part]) if name in self._store else otherwise()

    def _filters(self, part: slice) -> list[str] | None:
        if "variant_filter" not in self._store or "filter_id" not in self._store:
            return None
        names = _texts(self._store["filter_id"][...])
        return [";".join(names[row]) or "." for row in self._store["variant_filter"][part]]


def _texts(values: Any) -> np.ndarray:
    """object of str, of an array of texts or of bytes."""
    values = np.asarray(values)
    flat = [value.decode() if isinstance(value, bytes) else str(value) for value in values.ravel().tolist()]
    return np.array(flat, object).reshape(values.shape)


def _values(values: np.ndarray) -> np.ndarray:
    """object (loci, samples) of str: the numbers of each cell, (loci, samples) or (loci, samples, n).

    -1 and NaN are missing, -2 and NaN at the end are no value.
    """
    cells = values[..., None] if values.ndim == 2 else values
    text_of = _text_of_whole
    if cells.dtype.kind == "f":
        cells, text_of = np.where(np.isnan(cells), np.inf, cells), _text_of_numbers  # NaN is not even equal to itself
    known: dict[tuple[Any, ...], str] = {}
    texts = np.empty(cells.shape[:2], object)
    for i, row in enumerate(cells.tolist()):
        texts[i] = [known.get(cell) or known.setdefault(cell, text_of(cell)) for cell in map(tuple, row)]
    return texts


def _text_of_whole(cell: tuple[int, ...]) -> str:
    return ",".join("." if number == -1 else str(number) for number in cell if number != -2) or "."


def _text_of_numbers(cell: tuple[float, ...]) -> str:
    """Infinity stands for NaN."""
    kept = ["." if number == np.inf else f"{number:.6g}" for number in cell]
    while len(kept) > 1 and kept[-1] == ".":
        kept.pop()
    return ",".join(kept)
