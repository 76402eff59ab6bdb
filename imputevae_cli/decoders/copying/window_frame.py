"""How loci are cut into windows, and by what samples draw at random in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imputevae_cli.data.genotypes import MISSING, missing_per_sample
from imputevae_cli.decoders.copying.kernel_numerics import mix_each


@dataclass(frozen=True)
class Frame:
    """The windows of some loci, and what of the samples goes with each.

    windows: int64 (W, 4), see `windows.windows`. by_descent: uint8 (N, L) or (0, 0), see `inbreeding.by_descent`.
    paths: uint8 (W, N), see `inbreeding.paths`. identities: uint64 (W, N), by which samples draw apart. first: the
    number of the first window, where these are some of the windows of more loci.
    """

    windows: np.ndarray
    by_descent: np.ndarray
    paths: np.ndarray
    identities: np.ndarray
    first: int = 0

    def part(self, start: int, stop: int) -> Frame:
        """The windows number start..stop (exclusive) alone, on the loci of their cores."""
        low, high = self.windows[start, 1], self.windows[stop - 1, 2]
        windows = np.clip(self.windows[start:stop], low, high) - low
        by_descent = np.ascontiguousarray(self.by_descent[:, low:high])
        return Frame(windows, by_descent, self.paths[start:stop], self.identities[start:stop], start)

    def keys(self, key: np.uint64, window: int) -> np.ndarray:
        """uint64 (N,): each sample's own key, from one for this window."""
        return mix_each(key, self.identities[window])


def cell_offsets(calls: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """int64 (W, N): the place of each core's first missing call among all missing calls, sample by sample."""
    per_sample = missing_per_sample(calls)
    before = np.concatenate([[0], np.cumsum(per_sample)[:-1]])
    offsets = np.empty((len(windows), len(calls)), np.int64)
    for w, (_, start, stop, _) in enumerate(windows):
        offsets[w] = before
        before = before + (calls[:, start:stop] == MISSING).sum(1)
    return offsets
