"""The part of the data that a decoder is run on to see what it is worth."""

from __future__ import annotations

import numpy as np

from imputevae_cli.data.subsets import two_stretches
from imputevae_cli.decoders.base import Task
from imputevae_cli.seeds import seed_for


def subset_to_screen(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Some samples and loci, int64, rising: in a file so large that its held-out calls lie thin, more loci, to judge
    by twice the cells that are needed."""
    rules, (n_samples, n_loci) = task.rules, task.cohort.calls.shape
    rng = np.random.default_rng(seed_for(task.config.io.seed, "excerpt"))
    samples = np.sort(rng.choice(n_samples, min(n_samples, rules.screen_samples), replace=False))
    of_a_locus = max(len(task.validation.truth), 1) * len(samples) / task.cohort.calls.size
    length = max(rules.screen_loci, int(2 * rules.screen_cells / of_a_locus))
    return samples, two_stretches(n_loci, min(length, n_loci) // 2)
