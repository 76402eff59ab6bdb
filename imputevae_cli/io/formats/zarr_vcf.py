"""Zarr VCF: the modelled loci as compressed arrays, which sgkit, xarray and vcztools read.

Names and dimensions are those of the VCF Zarr specification, 0.4 (https://github.com/sgkit-dev/vcf-zarr-spec).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from imputevae_cli.data.genotypes import GenotypeMatrix, ImputedBlock, ImputedBlocks, Loci
from imputevae_cli.data.sgkit_names import allele_pairs, contig_numbers
from imputevae_cli.io.formats.base import Writing
from imputevae_cli.io.formats.rows import held_block, held_loci
from imputevae_cli.io.outputs import atomic_folder, check_output_folder
from imputevae_cli.optional import optional

TITLE = "Zarr VCF"
VERSION = "0.4"
CHUNK_LOCI, CHUNK_SAMPLES = 1000, 10_000
"""As bio2zarr cuts its arrays."""
WHOLE = {"write_empty_chunks": True}
"""Chunks of zeros are written too: there is no fill value, and zarr 2 reads anything in place of one that is absent."""
SOURCE, COMMAND, METADATA = "source", "imputevae_command", ".zattrs"
CALL_ARRAYS = {
    "call_genotype": ("int8", "ploidy", "Genotype"),
    "call_genotype_mask": ("bool", "ploidy", "Whether an allele is missing"),
    "call_genotype_phased": ("bool", None, "Whether the genotype is phased"),
    "call_GP": ("float32", "genotypes", "Genotype probabilities"),
    "call_DS": ("float32", None, "Expected count of ALT alleles"),
    "call_IMP": ("int8", None, "0 as in the input, 1 imputed, 2 refined"),
}
"""Name -> type, third dimension, description."""
OTHER_ARRAYS = (
    "contig_id",
    "filter_id",
    "region_index",
    "sample_id",
    "variant_allele",
    "variant_contig",
    "variant_filter",
    "variant_id",
    "variant_id_mask",
    "variant_length",
    "variant_position",
    "variant_quality",
)
OWN = (*CALL_ARRAYS, *OTHER_ARRAYS, ".zgroup", ".zattrs", ".zmetadata")
"""What a store holds that was written here."""


def check(path: str | Path, genotypes: GenotypeMatrix, how: Writing) -> None:
    """See `Writer`. Any ploidy will do. Raises ConfigError where there is no zarr."""
    optional("zarr", "writing Zarr VCF", "zarr", least=3)


def check_place(path: str | Path, *, force: bool) -> None:
    """Raise OutputError where a store cannot be made at `path`; `force` replaces one that was written here."""
    check_output_folder(
        path, is_ours=_is_ours, own=OWN, force=force, mark=f"{METADATA} of imputevae", holds_folders=True
    )


def write(path: str | Path, imputed: ImputedBlocks, how: Writing) -> None:
    """See `Writer`. The store is a folder."""
    zarr = optional("zarr", "writing Zarr VCF", "zarr", least=3)
    genotypes = imputed.genotypes
    held = held_loci(path, genotypes, TITLE)
    with atomic_folder(path, OWN) as folder:
        store = zarr.open_group(str(folder), mode="w", zarr_format=2)
        store.attrs.update(
            {"vcf_zarr_version": VERSION, SOURCE: f"imputevae-{how.version}", COMMAND: " ".join(how.command.split())}
        )
        for name, (values, dimensions) in _small_arrays(genotypes, held).items():
            _add(store, name, values, dimensions)
        _write_calls(store, imputed, held)
        zarr.consolidate_metadata(store.store, zarr_format=2)


def command_of(path: Path) -> str | None:
    """See `Writer`."""
    if not _is_ours(path):
        raise ValueError("not written by imputevae")
    return str(_attributes(path)[COMMAND])


def _is_ours(folder: Path) -> bool:
    return str(_attributes(folder).get(SOURCE, "")).startswith("imputevae-")


def _attributes(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / METADATA).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


_NO_QUALITY = np.array(0x7F800001, np.uint32).view(np.float32)
"""The NaN that stands for a missing value."""


def _small_arrays(genotypes: GenotypeMatrix, held: np.ndarray) -> dict[str, tuple[np.ndarray, tuple[str, ...]]]:
    """Values and dimensions of the arrays that are not of cells."""
    loci = genotypes.loci.take(held)
    contigs, numbers = contig_numbers(loci.chrom)
    ids = np.full(len(loci), ".", object) if loci.ids is None else np.where(loci.ids == "", ".", loci.ids)
    lengths = np.array([len(ref) for ref in loci.ref], np.int32)
    of_variants = ("variants",)
    return {
        "contig_id": (contigs, ("contigs",)),
        "filter_id": (np.array(["PASS"], object), ("filters",)),
        "sample_id": (np.array(genotypes.samples, object), ("samples",)),
        "variant_allele": (np.stack([loci.ref, loci.alt], 1), ("variants", "alleles")),
        "variant_contig": (numbers, of_variants),
        "variant_filter": (np.zeros((len(loci), 1), bool), ("variants", "filters")),
        "variant_id": (ids, of_variants),
        "variant_id_mask": (ids == ".", of_variants),
        "variant_length": (lengths, of_variants),
        "variant_position": (loci.pos.astype(np.int32), of_variants),
        "variant_quality": (np.full(len(loci), _NO_QUALITY), of_variants),
        "region_index": (_region_index(loci, numbers, lengths), ("region_index_values", "region_index_fields")),
    }


def _region_index(loci: Loci, contigs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """int32 (regions, 6): for each contig of each chunk its chunk, contig, first and last position, the largest end,
    and number of loci."""
    rows = []
    ends = loci.pos + lengths - 1
    for chunk, start in enumerate(range(0, len(loci), CHUNK_LOCI)):
        inside = slice(start, min(start + CHUNK_LOCI, len(loci)))
        edges = np.r_[0, np.flatnonzero(np.diff(contigs[inside])) + 1, inside.stop - start] + start
        for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            rows.append(
                [chunk, contigs[first], loci.pos[first], loci.pos[last - 1], ends[first:last].max(), last - first]
            )
    return np.array(rows, np.int32)


def _add(store: Any, name: str, values: np.ndarray, dimensions: tuple[str, ...]) -> None:
    dtype, fill = (str, "") if values.dtype == object else (values.dtype, None)  # any fill value is NaN in xarray
    chunks = tuple(min(n, CHUNK_LOCI) if d == "variants" else n for n, d in zip(values.shape, dimensions, strict=True))
    array = store.create_array(name, shape=values.shape, dtype=dtype, chunks=chunks, fill_value=fill, config=WHOLE)
    array.attrs["_ARRAY_DIMENSIONS"] = list(dimensions)
    array[...] = values


def _write_calls(store: Any, imputed: ImputedBlocks, held: np.ndarray) -> None:
    """Write the arrays of cells, a chunk of loci at a time."""
    genotypes = imputed.genotypes
    sizes = {"ploidy": genotypes.ploidy, "genotypes": genotypes.n_classes}
    shape = (len(held), genotypes.n_samples)
    arrays = {}
    for name, (dtype, third, description) in CALL_ARRAYS.items():
        more = () if third is None else (sizes[third],)
        chunks = (min(CHUNK_LOCI, shape[0]), min(CHUNK_SAMPLES, shape[1]), *more)
        arrays[name] = array = store.create_array(
            name, shape=(*shape, *more), dtype=dtype, chunks=chunks, fill_value=None, config=WHOLE
        )
        dimensions = ["variants", "samples"] + ([] if third is None else [third])
        array.attrs.update({"_ARRAY_DIMENSIONS": dimensions, "description": description})
    for first in range(0, len(held), CHUNK_LOCI):
        chunk = held[first : first + CHUNK_LOCI]
        columns, block = held_block(imputed, chunk, int(chunk[0]), int(chunk[-1]) + 1)
        for name, values in _cells(block, columns, genotypes.ploidy).items():
            arrays[name][first : first + len(chunk)] = values


def _cells(block: ImputedBlock, columns: np.ndarray, ploidy: int) -> dict[str, np.ndarray]:
    """The values of the arrays of cells at some columns of a block, (loci, samples, ...)."""
    calls, gp = block.calls[:, columns].T, block.gp[:, columns].transpose(1, 0, 2) / np.float32(1000)
    alt_first = None if block.alt_first is None else block.alt_first[:, columns].T
    alleles = allele_pairs(calls, ploidy, alt_first)
    imputed = block.imputed[:, columns].T.astype(np.int8)
    if block.refined is not None:
        imputed[block.refined[:, columns].T] = 2
    dosage = gp @ np.arange(ploidy + 1, dtype=np.float32)
    return {
        "call_genotype": alleles,
        "call_genotype_mask": alleles < 0,
        "call_genotype_phased": np.full(calls.shape, alt_first is not None),
        "call_GP": gp,
        "call_DS": np.where(gp.any(2), dosage, np.float32(np.nan)),
        "call_IMP": imputed,
    }
