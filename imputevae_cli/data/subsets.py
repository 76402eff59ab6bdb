"""Some of the samples and loci, to try on them what is done to all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imputevae_cli.data.genotypes import GenotypeMatrix


def some_samples(n_samples: int, most: int, generator: np.random.Generator) -> np.ndarray:
    """At most `most` of the samples, int64, rising, drawn by `generator`."""
    return np.sort(generator.choice(n_samples, min(n_samples, most), replace=False))


def two_stretches(n_loci: int, length: int) -> np.ndarray:
    """Loci, int64, rising: `length` of them around the first quarter of the file, and around the third."""
    starts = np.clip([n_loci // 4 - length // 2, 3 * n_loci // 4 - length // 2], 0, n_loci - length)
    return np.unique(np.concatenate([np.arange(start, start + length) for start in starts]))


def even_stretches(n_loci: int, n_stretches: int, length: int) -> np.ndarray:
    """Loci, int64, rising: stretches of `length` from the first locus to the last, evenly spread."""
    starts = np.linspace(0, n_loci - length, n_stretches).astype(np.int64)
    return np.unique(starts[:, None] + np.arange(length))


def stretch_numbers(loci: np.ndarray) -> np.ndarray:
    """The stretch without a gap that each of some loci is in, int64 (l,), from 0 on; loci: int64 (l,), rising."""
    return np.cumsum(np.diff(loci, prepend=loci[:1]) > 1)


def chromosomes_of(chrom_codes: np.ndarray, loci: np.ndarray) -> np.ndarray:
    """Chromosomes of some loci, int32 (l,), from 0 on; a gap starts a new one, as nothing is known of what lies there.

    chrom_codes: int32 (L,), rising. loci: int64 (l,), rising.
    """
    codes = chrom_codes[loci] + stretch_numbers(loci)
    return np.cumsum(np.diff(codes, prepend=codes[:1]) > 0).astype(np.int32)


def matrix_subset(genotypes: GenotypeMatrix, samples: np.ndarray, loci: np.ndarray) -> GenotypeMatrix:
    """Some samples at some loci, int64, rising; loci on either side of a gap are on chromosomes of their own."""
    chosen = genotypes.loci.take(loci)
    names = [f"{chrom}/{s}" for chrom, s in zip(chosen.chrom, stretch_numbers(loci), strict=True)]
    return replace(
        genotypes,
        calls=calls_subset(genotypes.calls, samples, loci),
        samples=tuple(genotypes.samples[i] for i in samples),
        loci=replace(chosen, chrom=np.array(names, object)),
        populations=None if genotypes.populations is None else genotypes.populations[samples],
        source=None,
        haploid=None if genotypes.haploid is None else genotypes.haploid.subset(samples, loci),
    )


def calls_subset(calls: np.ndarray, samples: np.ndarray, loci: np.ndarray) -> np.ndarray:
    """Calls of some samples at some loci, contiguous, int8 (n, l); calls: int8 (N, L)."""
    return np.ascontiguousarray(calls[np.ix_(samples, loci)])
