"""From the file of a reference panel to the packed panel: its phase is read, or found once where the file has none."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from imputevae_cli.errors import InputError
from imputevae_cli.io.passed_through import fix_for
from imputevae_cli.io.vcf_haplotypes import HaplotypeBlock, HaplotypeFile
from imputevae_cli.log import Progress
from imputevae_cli.panels.phase_panel import phase_panel
from imputevae_cli.panels.settings import PanelSettings
from imputevae_cli.panels.store import panel_output
from imputevae_cli.seeds import seed_for

PHASED_SHARE = 0.99
"""A file is phased where at least this share of its heterozygotes is; the phase of the others is taken as written."""
PROBED = 20_000
"""Heterozygotes at the beginning of a file that tell whether it is phased."""


@dataclass(frozen=True)
class Packed:
    """What became of a panel's file. phased: whether its own phase was used. n_missing: alleles that were filled.
    n_unphased: heterozygotes without phase in a phased file. left_out: reason -> records that are not in the panel."""

    samples: tuple[str, ...]
    n_loci: int
    n_chroms: int
    phased: bool
    n_missing: int
    n_unphased: int
    left_out: dict[str, int]


@dataclass
class _Counts:
    """Of what was packed so far."""

    n_loci: int = 0
    n_chroms: int = 0
    n_missing: int = 0
    n_heterozygous: int = 0
    n_unphased: int = 0


@dataclass(frozen=True)
class Packing:
    """How a panel is packed. settings, seed, pool: of the phasing. made: plain values that the panel keeps, such as the
    command."""

    settings: PanelSettings
    seed: int
    pool: ThreadPoolExecutor
    made: dict[str, Any]
    progress: Progress


def pack_panel(file: HaplotypeFile, path: str | Path, how: Packing) -> Packed:
    """Write the packed panel of a file to `path`, whole or not at all.

    A phased file passes through block by block; one that is not is in memory a chromosome at a time. Raises InputError
    where the file holds no locus, and where it is phased in parts alone.
    """
    phased = is_phased(file)
    counts = _Counts()
    with panel_output(path, file.samples) as writer, how.progress.task("packing the panel", 0) as task:
        for chrom, group in groupby(file.blocks(), lambda block: block.chrom):
            counts.n_chroms += 1
            blocks: Iterator[tuple[HaplotypeBlock, np.ndarray]]
            if phased:
                blocks = ((block, _filled(block.alleles)) for block in group)
            else:
                blocks = _phased_by_us(list(group), chrom, how)
            for block, haplotypes in blocks:
                _count(counts, block, phased)
                writer.add(chrom, block.pos, list(zip(block.ref, block.alt, block.ids, strict=True)), haplotypes)
                task.advance(len(block))
        _check(file, counts)
        writer.close({**how.made, "phased": phased})
    left_out = {reason: count for reason, count in file.left_out.items() if count}
    return Packed(file.samples, counts.n_loci, counts.n_chroms, phased, counts.n_missing, counts.n_unphased, left_out)


def is_phased(file: HaplotypeFile) -> bool:
    """Whether nearly all of the first PROBED heterozygotes are phased."""
    n_heterozygous = n_phased = 0
    for block in file.blocks():
        heterozygous = block.heterozygous
        n_heterozygous += int(heterozygous.sum())
        n_phased += int((heterozygous & block.phased).sum())
        if n_heterozygous >= PROBED:
            break
    return n_phased >= PHASED_SHARE * n_heterozygous


def _filled(alleles: np.ndarray) -> np.ndarray:
    """uint8 (b, H): alleles, int8 (b, H), with the most frequent one of the locus where they are missing."""
    missing = alleles < 0
    if not missing.any():
        return alleles.astype(np.uint8)
    n_known = (~missing).sum(axis=1)
    commonest = 2 * (alleles == 1).sum(axis=1) > n_known
    return np.where(missing, commonest[:, None], alleles == 1).astype(np.uint8)


def _phased_by_us(
    blocks: list[HaplotypeBlock], chrom: str, how: Packing
) -> Iterator[tuple[HaplotypeBlock, np.ndarray]]:
    """The blocks of one chromosome, each with haplotypes, uint8 (b, H), found in all of them together."""
    first, second = (np.concatenate([block.alleles[:, side::2].T for block in blocks], axis=1) for side in (0, 1))
    calls = np.where((first < 0) | (second < 0), np.int8(-1), first + second)
    positions = np.concatenate([block.pos for block in blocks])
    haplotypes = phase_panel(calls, positions, how.settings, seed_for(how.seed, f"panel phase {chrom}"), how.pool)
    done = 0
    for block in blocks:
        yield block, np.ascontiguousarray(haplotypes[:, done : done + len(block)].T)
        done += len(block)


def _count(counts: _Counts, block: HaplotypeBlock, phased: bool) -> None:
    counts.n_loci += len(block)
    counts.n_missing += int((block.alleles < 0).sum())
    if phased:
        heterozygous = block.heterozygous
        counts.n_heterozygous += int(heterozygous.sum())
        counts.n_unphased += int((heterozygous & ~block.phased).sum())


def _check(file: HaplotypeFile, counts: _Counts) -> None:
    if not counts.n_loci:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in file.left_out.items() if count)
        raise InputError(
            f"{file.name}: no record can be part of a panel ({reasons or 'none was read'}); {fix_for(file.left_out)}"
        )
    if counts.n_missing == 2 * counts.n_loci * len(file.samples):
        raise InputError(f"{file.name}: has no call, from which nothing can be filled; give a panel of known genotypes")
    if counts.n_unphased > (1 - PHASED_SHARE) * max(counts.n_heterozygous, 1):
        raise InputError(
            f"{file.name}: begins phased, but {counts.n_unphased:,} of {counts.n_heterozygous:,} heterozygotes are "
            "not; phase the whole file, or write `/` for `|` throughout to have it phased here"
        )
