"""Cheap runs of the parts on a few stretches of the genome, which show what is not worth its cost."""

from __future__ import annotations

import msgspec
import numpy as np

from imputevae_cli.data.hidden_calls import HiddenCells, pick
from imputevae_cli.data.subsets import two_stretches
from imputevae_cli.decoders.base import Task
from imputevae_cli.decoders.registry import haplotype_decoder
from imputevae_cli.decoders.vae.training_state import Member
from imputevae_cli.ensemble.ensemble import DONORS, GLOBAL, FrequencyPart, global_posterior
from imputevae_cli.ensemble.held_out import Glimpse
from imputevae_cli.runtime.run_options import RunOptions
from imputevae_cli.scoring.metrics import log_loss
from imputevae_cli.seeds import seed_for

EXCERPT_LOCI = 600
EXCERPT_SAMPLES = 500
EXCERPT_CELLS = 100
"""Fewer hidden cells decide nothing: whether a part is worth its cost, or whether haplotypes gain by a global state."""
LINKED, ALONE = 0.8, 0.3
"""Haplotypes that bring the log loss of the frequencies below the first share of it outdo the global part, and below
the second the donors too; between the two, donors are trained for half as long, and the gate tells what they add."""


def of_haplotypes(task: Task) -> Glimpse | None:
    """What the haplotypes say on a few stretches; None where too few validation cells lie there to judge by."""
    return task.stages.run_together("glimpse", lambda: _copied_excerpt(task), Glimpse.state, Glimpse.from_state)


def _copied_excerpt(task: Task) -> Glimpse | None:
    samples, loci = _excerpt(task)
    places, inside = task.validation.within(samples, loci)
    if len(places) < EXCERPT_CELLS:
        return None
    small = task.cohort.subset(samples, loci)
    quick = haplotype_decoder(msgspec.structs.replace(task.config.copying, trial=False, chains=1), 0)
    posterior = quick.fit(
        small, hidden=HiddenCells.none(), options=RunOptions(task.threads, task.device, stages=task.stages)
    )
    return Glimpse(places, pick(inside, small.n_loci, posterior.shown_gp))


def of_global(task: Task, members: list[Member], thinned: np.ndarray | None) -> Glimpse | None:
    """What models fitted on some of the loci say there."""
    cohort = task.cohort
    loci = np.arange(cohort.n_loci) if thinned is None else thinned
    places, inside = task.validation.within(np.arange(len(cohort.calls)), loci)
    if len(places) < EXCERPT_CELLS:
        return None
    some = cohort.with_calls(np.ascontiguousarray(cohort.calls[:, loci]))
    return Glimpse(places, global_posterior(members, some, task.config).cells(inside))


def outdone(task: Task, copied: Glimpse, notes: list[str]) -> set[str]:
    """The parts that can add little where haplotypes, on a few stretches, are so good; `notes` says why."""
    cohort, cells = task.cohort, task.validation.take(copied.places)
    plain = FrequencyPart.of(cohort).cells(cells)
    mixed = np.sqrt(copied.gp * plain)  # either may be too sure; what counts is what they say together
    mixed /= mixed.sum(1, keepdims=True)
    best = min(log_loss(cells.truth, copied.gp), log_loss(cells.truth, mixed))
    ratio = best / log_loss(cells.truth, plain)
    if ratio >= LINKED:
        return set()
    parts = [GLOBAL, DONORS] if ratio < ALONE else [GLOBAL]
    notes.append(
        f"{' and '.join(parts)} skipped: on a few stretches haplotypes bring the log loss of the "
        f"frequencies down to {ratio:.0%}"
    )
    return set(parts)


def _excerpt(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Some samples and loci, int64, rising: in a file so large that its hidden calls lie thin, more loci, to judge by
    twice the cells that are needed."""
    n_samples, n_loci = task.cohort.calls.shape
    rng = np.random.default_rng(seed_for(task.config.io.seed, "excerpt"))
    samples = np.sort(rng.choice(n_samples, min(n_samples, EXCERPT_SAMPLES), replace=False))
    of_a_locus = max(len(task.validation.truth), 1) * len(samples) / task.cohort.calls.size
    length = max(EXCERPT_LOCI, int(2 * EXCERPT_CELLS / of_a_locus))
    return samples, two_stretches(n_loci, min(length, n_loci) // 2)
