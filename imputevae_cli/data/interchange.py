"""Genotypes out of arrays, data frames and xarray Datasets, and into Datasets and AnnData.

pandas, xarray and anndata are imported where they are needed. The names of a Dataset are those of sgkit
(https://sgkit-dev.github.io/sgkit/latest/api.html#variables).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from imputevae_cli.data.popmap import PopMap
from imputevae_cli.data.sgkit_names import allele_pairs, contig_numbers
from imputevae_cli.errors import InputError
from imputevae_cli.log import logger
from imputevae_cli.optional import optional

if TYPE_CHECKING:
    from imputevae_cli.data.genotypes import GenotypeMatrix

MISSING_VALUES = (-1, -9)
"""What stands for a missing call in an array, beside NaN."""
SPACING = 1000
"""Base pairs between loci whose positions are not given."""
UNKNOWN_CHROM, UNKNOWN_REF, UNKNOWN_ALT = "1", "1", "2"
_PLACE = re.compile(r"(?P<chrom>[^:]+):(?P<pos>\d+)(?::(?P<ref>[^:]+):(?P<alt>[^:]+))?")


def calls_of(values: Any, ploidy: int, missing: int) -> np.ndarray:
    """int8 (samples, loci): counts of ALT alleles, `missing` where `values` have NaN, -1 or -9.

    values: 2-D, whole numbers of any type. Raises InputError, naming the cell, for what is no count up to the ploidy.
    """
    masked = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    try:
        numbers = np.asarray(values, np.float64) if not hasattr(values, "dtype") else np.asarray(values)
        numbers = numbers.astype(np.float64) if numbers.dtype.kind not in "iuf" else numbers
    except (TypeError, ValueError) as error:
        raise InputError(f"genotypes: the array holds what is no number ({error}); give ALT counts") from None
    if numbers.ndim != 2:
        raise InputError(f"genotypes: the array has the shape {numbers.shape}; give (samples, loci)")
    is_missing = np.isin(numbers, MISSING_VALUES) | np.isnan(numbers)
    if masked is not None:
        is_missing |= masked
    known = np.where(is_missing, 0, numbers)
    wrong = (known != np.floor(known)) | (known < 0) | (known > ploidy)
    if wrong.any():
        sample, locus = np.argwhere(wrong)[0].tolist()
        raise InputError(
            f"genotypes: the value of sample {sample} at locus {locus} is {numbers[sample, locus]:g}; give whole "
            f"counts of ALT alleles from 0 to {ploidy}, and NaN, -1 or -9 for what is missing"
        )
    return np.where(is_missing, missing, known).astype(np.int8)


def sample_names(samples: Sequence[Any] | None, n_samples: int) -> tuple[str, ...]:
    """The names as texts; `sample1` and so on where none are given."""
    return tuple(f"sample{i}" for i in range(1, n_samples + 1)) if samples is None else tuple(map(str, samples))


def population_names(populations: Any, samples: Sequence[str]) -> np.ndarray | None:
    """object (samples,) of str: of one name per sample, or of a mapping from sample to population."""
    if populations is None:
        return None
    if isinstance(populations, PopMap):
        return populations.align(samples, "the array")
    if isinstance(populations, Mapping):
        return PopMap({str(k): str(v) for k, v in populations.items()}, "populations").align(samples, "the array")
    return np.array([str(population) for population in populations], object)


def locus_columns(loci: Sequence[Any] | None, n_loci: int) -> dict[str, np.ndarray]:
    """chrom, pos, ref, alt and ids of loci that are given as texts or tuples.

    `CHROM:POS`, `CHROM:POS:REF:ALT`, (chrom, pos) or (chrom, pos, ref, alt). Texts of another form are names. Loci
    without positions lie SPACING apart on one chromosome, in their order; alleles that are not given are called 1 and
    2. Raises InputError where their number is not that of the calls.
    """
    given = list(range(1, n_loci + 1)) if loci is None else list(loci)
    if len(given) != n_loci:
        raise InputError(f"genotypes: loci are {len(given)}, the calls have {n_loci}; give one for each")
    places = [_place(locus) for locus in given]
    ids = None
    if any(place is None for place in places):
        places = [(UNKNOWN_CHROM, SPACING * number, UNKNOWN_REF, UNKNOWN_ALT) for number in range(1, n_loci + 1)]
        ids = np.array([f"locus{i}" if loci is None else str(i) for i in given], object)
    chrom, pos, ref, alt = (
        (np.array(column, object) for column in zip(*places, strict=True)) if places else [np.zeros(0, object)] * 4
    )
    found = {"chrom": chrom, "pos": pos.astype(np.int64), "ref": ref, "alt": alt}
    return found if ids is None else {**found, "ids": ids}


def _place(locus: Any) -> tuple[str, int, str, str] | None:
    """Chromosome, position, REF and ALT of a locus, or None where it is a mere name."""
    if isinstance(locus, (tuple, list)) and len(locus) in (2, 4):
        ref, alt = map(str, locus[2:]) if len(locus) == 4 else (UNKNOWN_REF, UNKNOWN_ALT)
        return str(locus[0]), int(locus[1]), ref, alt
    found = _PLACE.fullmatch(locus) if isinstance(locus, str) else None
    if found is None:
        return None
    return found["chrom"], int(found["pos"]), found["ref"] or UNKNOWN_REF, found["alt"] or UNKNOWN_ALT


def values_of_frame(frame: Any, populations: Any) -> tuple[np.ndarray, list[str], list[Any], Any]:
    """Values, samples, loci and populations of a pandas DataFrame, samples x loci.

    populations: as in `population_names`, or the name of a column, which is then no locus.
    """
    if isinstance(populations, str):
        if populations not in frame.columns:
            raise InputError(f"genotypes: the data frame has no column {populations!r} for populations; give its name")
        frame, populations = frame.drop(columns=populations), list(frame[populations])
    try:
        values = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"genotypes: the data frame holds what is no number ({error}); give samples as rows, loci as columns"
        ) from None
    return values, [str(name) for name in frame.index], list(frame.columns), populations


def columns_of_dataset(dataset: Any, missing: int) -> dict[str, Any]:
    """Calls, samples, columns of loci, ploidy and populations of a Dataset with sgkit's names.

    Variants that are not biallelic are left out, with their number in the log. Raises InputError where a variable is
    missing, and for samples of different ploidy.
    """
    for name in ("call_genotype", "variant_contig", "variant_position", "variant_allele", "sample_id"):
        if name not in dataset:
            raise InputError(f"genotypes: the Dataset has no {name}; give one with the names of sgkit")
    alleles = np.asarray(dataset["call_genotype"].values)
    if (alleles < -1).any():
        raise InputError("genotypes: the samples of the Dataset differ in ploidy; give those of one ploidy")
    names = _texts(dataset["variant_allele"].values)
    contigs = _texts(dataset["contig_id"].values if "contig_id" in dataset else dataset.attrs["contigs"])
    biallelic = (names != "").sum(1) == 2
    if not biallelic.all():
        logger.warning("%d of %d variants are not biallelic and are left out", (~biallelic).sum(), len(biallelic))
    alleles = alleles[biallelic]
    calls = np.where((alleles < 0).any(2), missing, alleles.sum(2)).astype(np.int8).T
    loci = {
        "chrom": contigs[np.asarray(dataset["variant_contig"].values)[biallelic]],
        "pos": np.asarray(dataset["variant_position"].values)[biallelic].astype(np.int64),
        "ref": names[biallelic, 0],
        "alt": names[biallelic, 1],
    }
    if "variant_id" in dataset:
        ids = _texts(dataset["variant_id"].values)[biallelic]
        loci["ids"] = np.where(ids == ".", "", ids)
    populations = _texts(dataset["sample_population"].values) if "sample_population" in dataset else None
    samples = tuple(_texts(dataset["sample_id"].values).tolist())
    return {
        "calls": np.ascontiguousarray(calls),
        "samples": samples,
        "loci": loci,
        "ploidy": alleles.shape[2],
        "populations": populations,
    }


def _texts(values: Any) -> np.ndarray:
    values = np.asarray(values)
    flat = [value.decode() if isinstance(value, bytes) else str(value) for value in values.ravel().tolist()]
    return np.array(flat, object).reshape(values.shape)


def dataset_of(genotypes: GenotypeMatrix, calls: np.ndarray, more: Mapping[str, tuple[Any, np.ndarray]]) -> Any:
    """An xarray Dataset with sgkit's names: the calls, int8 (samples, loci), in place of those of `genotypes`.

    more: further variables, (dimensions, values). Raises ConfigError without xarray.
    """
    xarray = optional("xarray", "a Dataset", "notebook")
    loci = genotypes.loci
    contigs, numbers = contig_numbers(loci.chrom)
    alleles = allele_pairs(calls.T, genotypes.ploidy)
    variables: dict[str, tuple[Any, np.ndarray]] = {
        "contig_id": ("contigs", contigs.astype(str)),
        "variant_contig": ("variants", numbers),
        "variant_position": ("variants", loci.pos),
        "variant_allele": (("variants", "alleles"), np.stack([loci.ref, loci.alt], 1).astype(str)),
        "sample_id": ("samples", np.array(genotypes.samples, str)),
        "call_genotype": (("variants", "samples", "ploidy"), alleles),
        "call_genotype_mask": (("variants", "samples", "ploidy"), alleles < 0),
    }
    if loci.ids is not None:
        variables["variant_id"] = "variants", loci.ids.astype(str)
    if genotypes.populations is not None:
        variables["sample_population"] = "samples", genotypes.populations.astype(str)
    return xarray.Dataset(variables | dict(more))


def anndata_of(genotypes: GenotypeMatrix, dosage: np.ndarray, layers: Mapping[str, np.ndarray]) -> Any:
    """AnnData of samples x loci: X is the dosage, `obs` has the populations, `var` the loci.

    Raises ConfigError without anndata.
    """
    anndata = optional("anndata", "AnnData", "notebook")
    pandas = optional("pandas", "AnnData", "notebook")
    loci = genotypes.loci
    columns = {"chrom": loci.chrom, "pos": loci.pos, "ref": loci.ref, "alt": loci.alt}
    names = [f"{chrom}:{pos}:{ref}:{alt}" for chrom, pos, ref, alt in zip(*columns.values(), strict=True)]
    obs = {} if genotypes.populations is None else {"population": pandas.Categorical(genotypes.populations)}
    made = anndata.AnnData(
        dosage,
        obs=pandas.DataFrame(obs, index=list(genotypes.samples)),
        var=pandas.DataFrame({name: list(column) for name, column in columns.items()}, index=names),
        layers=dict(layers),
    )
    made.var_names_make_unique()
    return made
