"""Fitting a model: which parts are worth their cost, the parts themselves, and the gate over them.

Every part sees the same visible calls; the hidden validation cells decide. What a look at a few stretches of the
genome shows to be useless is left out before its cost is paid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from imputevae_cli.config import Config
from imputevae_cli.engine.cells import HiddenCells, pick, surroundings
from imputevae_cli.engine.copying import HaplotypeDecoder
from imputevae_cli.engine.copying_posterior import HaplotypePosterior
from imputevae_cli.engine.donors import DonorDecoder
from imputevae_cli.engine.gate import Gate
from imputevae_cli.engine.mixture import (
    DONORS,
    FREQUENCIES,
    GLOBAL,
    HAPLOTYPE,
    Cohort,
    FrequencyPart,
    Mixture,
    closeness,
    global_posterior,
    log_of,
)
from imputevae_cli.engine.trainer import EpochResult, Member, TrainingData, train_members
from imputevae_cli.engine.vae import Latent, encode_in_batches
from imputevae_cli.genotypes import MISSING
from imputevae_cli.log import Progress, logger
from imputevae_cli.metrics import log_loss
from imputevae_cli.seeds import seed_for

EXCERPT_LOCI = 600
EXCERPT_SAMPLES = 500
EXCERPT_CELLS = 100
"""Fewer hidden cells in the excerpt decide nothing."""
SMALL = 400_000
"""Up to this many cells (samples x loci), every part is cheap, and the gate alone decides."""
LINKED = 0.8
"""In a larger file, haplotypes that bring the log loss of the frequencies below this share of it stand alone."""
UNLINKED = 0.995
"""Haplotypes that do not bring it below this share are left out."""
LATENT_CELLS = 1_500_000
"""Cells that the encoder is trained on where only the latent is wanted."""


@dataclass(frozen=True)
class Task:
    """What there is to fit: the cohort with all its known calls, and with the hidden ones hidden, and how."""

    full: Cohort
    visible: Cohort
    validation: HiddenCells
    config: Config
    device: torch.device
    progress: Progress
    threads: int
    on_epoch: Callable[[EpochResult], Any] | None = None


def fit_mixture(task: Task) -> Mixture:
    """Fit the parts that `model.decoder` asks for, and the gate."""
    wanted = _wanted(task)
    notes: list[str] = []
    linked = False
    if task.config.model.decoder == "auto":
        linked = _look_at_haplotypes(task, wanted, notes)
    members, thinned, latent = _fit_global(task, latent_only=linked and GLOBAL not in wanted)
    near = closeness(latent)
    parts: dict[str, np.ndarray] = {}
    cells = task.validation
    if FREQUENCIES in wanted:
        parts[FREQUENCIES] = FrequencyPart.of(task.visible).cells(cells)
    if GLOBAL in wanted:
        parts[GLOBAL] = global_posterior(members, task.visible, task.config).cells(cells)
    donors = _fit_donors(task, near) if DONORS in wanted else None
    if donors is not None:
        parts[DONORS] = donors.cells(cells.samples, cells.loci)
    haplotypes = _fit_haplotypes(task, near) if HAPLOTYPE in wanted else None
    if haplotypes is not None:
        parts[HAPLOTYPE] = pick(cells, task.visible.n_loci, haplotypes.shown_gp)
    gate = _fit_gate(task, parts)
    for note in [*notes, gate.summary()]:
        logger.info("%s", note)
    return Mixture(
        task.full,
        members,
        thinned,
        latent,
        donors if DONORS in gate.parts else None,
        haplotypes if HAPLOTYPE in gate.parts else None,
        gate,
        notes,
    )


def _wanted(task: Task) -> set[str]:
    decoder = task.config.model.decoder
    return {FREQUENCIES, GLOBAL, DONORS, HAPLOTYPE} if decoder == "auto" else {decoder}


def _look_at_haplotypes(task: Task, wanted: set[str], notes: list[str]) -> bool:
    """Judge the haplotypes on a few stretches; takes the parts that will not pay out of `wanted`, with a note.

    Returns whether the haplotypes stand alone.
    """
    ratio = _excerpt_ratio(task)
    if ratio is None or ratio > UNLINKED:
        wanted.discard(HAPLOTYPE)
        seen = "too few loci to look at" if ratio is None else "no linkage that helps on a few stretches"
        notes.append(f"{HAPLOTYPE} skipped: {seen}")
        return False
    if ratio < LINKED and task.visible.calls.size > SMALL:
        wanted.difference_update({GLOBAL, DONORS})
        notes.append(
            f"{GLOBAL} and {DONORS} skipped: on a few stretches haplotypes bring the log loss of the "
            f"frequencies down to {ratio:.0%}"
        )
        return True
    return False


def _excerpt_ratio(task: Task) -> float | None:
    """Log loss of the haplotypes over that of the frequencies, on the hidden cells of a few stretches."""
    cohort = task.visible
    n_samples, n_loci = cohort.calls.shape
    rng = np.random.default_rng(seed_for(task.config.io.seed, "excerpt"))
    samples = np.sort(rng.choice(n_samples, min(n_samples, EXCERPT_SAMPLES), replace=False))
    length = min(EXCERPT_LOCI, n_loci) // 2
    starts = [n_loci // 4 - length // 2, 3 * n_loci // 4 - length // 2]
    loci = np.unique(np.concatenate([np.arange(s, s + length) for s in np.clip(starts, 0, n_loci - length)]))
    small = cohort.excerpt(samples, loci)
    truth = task.full.calls[np.ix_(samples, loci)]
    cells = HiddenCells.of((truth != MISSING) & (small.calls == MISSING), truth)
    if len(cells.truth) < EXCERPT_CELLS:
        return None
    posterior = _haplotype_decoder(task).fit(
        small.calls, small.chrom_codes, small.positions, small.ploidy, shown=small.calls, threads=task.threads
    )
    copied = pick(cells, small.n_loci, posterior.shown_gp)
    plain = FrequencyPart.of(small).cells(cells)
    mixed = np.sqrt(copied * plain)  # either may be overconfident; what counts is what they say together
    mixed /= mixed.sum(1, keepdims=True)
    return min(log_loss(cells.truth, copied), log_loss(cells.truth, mixed)) / log_loss(cells.truth, plain)


def _fit_global(task: Task, latent_only: bool) -> tuple[list[Member], np.ndarray | None, Latent]:
    """The models of the global decoder, the loci that they were fitted on (None: all), and the latent."""
    cohort, config = task.visible, task.config
    thinned = None
    if latent_only:
        config = config.replace({"train.ensemble": 1, "train.max_epochs": min(20, config.train.max_epochs)})
        step = -(-cohort.calls.size // LATENT_CELLS)
        thinned = np.arange(0, cohort.n_loci, step) if step > 1 else None
    loci = slice(None) if thinned is None else thinned
    inside = np.arange(cohort.n_loci)[loci]
    place = np.searchsorted(inside, task.validation.loci)
    kept = (place < len(inside)) & (inside[np.minimum(place, len(inside) - 1)] == task.validation.loci)
    cells = HiddenCells(task.validation.samples[kept], place[kept], task.validation.truth[kept])
    data = TrainingData(
        calls=torch.from_numpy(np.ascontiguousarray(cohort.calls[:, loci])),
        n_classes=cohort.ploidy + 1,
        validation=cells,
        populations=cohort.population_tensor,
        n_populations=cohort.n_populations,
    )
    members = train_members(data, config, task.device, task.progress, task.on_epoch)
    populations = None if data.populations is None else data.populations.to(task.device)
    latent = encode_in_batches(members[0].model, data.calls, populations)
    return members, thinned, Latent(latent.mu.cpu(), latent.logvar.cpu())


def _fit_donors(task: Task, near: np.ndarray) -> DonorDecoder:
    cohort = task.visible
    decoder = DonorDecoder(task.config.donors, seed_for(task.config.io.seed, "donors") % 2**31)
    return decoder.fit(
        cohort.calls,
        cohort.chrom_codes,
        cohort.ploidy,
        populations=cohort.known_populations,
        similarity=near,
        progress=task.progress,
        threads=task.threads,
    )


def _haplotype_decoder(task: Task) -> HaplotypeDecoder:
    return HaplotypeDecoder(task.config.haplotype, seed_for(task.config.io.seed, "haplotype") % 2**31)


def _fit_haplotypes(task: Task, near: np.ndarray) -> HaplotypePosterior:
    cohort = task.visible
    return _haplotype_decoder(task).fit(
        task.full.calls,
        cohort.chrom_codes,
        cohort.positions,
        cohort.ploidy,
        shown=cohort.calls,
        likeness=near,
        progress=task.progress,
        threads=task.threads,
    )


def _fit_gate(task: Task, parts: dict[str, np.ndarray]) -> Gate:
    cells, cohort = task.validation, task.visible
    around = pick(
        cells,
        cohort.n_loci,
        lambda start, stop: surroundings(cohort.calls, cohort.chrom_codes, cohort.ploidy, start, stop),
    )
    logs = {name: log_of(gp) for name, gp in parts.items()}
    return Gate.fit(
        logs,
        cells.truth,
        around,
        fallback=FREQUENCIES,
        groups=cells.loci,
        seed=seed_for(task.config.io.seed, "gate") % 2**31,
    )
