"""Trees of samples: read from Newick, or joined from the genotypes; all that is kept of one is its clades."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.popmap import unknown_names
from imputevae_cli.errors import InputError
from imputevae_cli.log import logger

MOST_LOCI = 5000
"""Distances between samples are taken over at most so many loci, evenly spread."""

_TOKEN = re.compile(r"\[[^\]]*\]|'(?:[^']|'')*'|[(),:;]|[^\s(),:;\[\]']+")


@dataclass(frozen=True)
class Clades:
    """Groups of samples that a tree holds together.

    members: bool (clades, N), two samples at least and half of them at most. lengths: float (clades,), the length of
    the branch that leads to each.
    """

    members: np.ndarray
    lengths: np.ndarray


def read_newick(path: str | Path, samples: Sequence[str]) -> Clades:
    """The clades of a Newick tree whose tips are `samples`; a sample that the tree lacks is in no clade.

    A branch without a length has length 0; where all are without, each counts 1. Raises InputError on a file that
    is no Newick tree, on tips that are no samples, and where no clade of at least two samples is left.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the tree cannot be read ({error}); give a Newick file") from error
    groups, lengths = _parse(text, str(path))
    tips = [name for group in groups if len(group) == 1 for name in group]
    there = {name: i for i, name in enumerate(samples)}
    if unknown := [tip for tip in dict.fromkeys(tips) if tip not in there]:
        raise InputError(
            f"{path}: {unknown_names(unknown, samples, 'tip')} not among the samples; fix or prune the tree"
        )
    if len(set(tips)) < len(tips):
        raise InputError(f"{path}: a tip occurs twice in the tree; keep one of each")
    if lacking := len(samples) - len(tips):
        logger.warning("%s: %d samples are not in the tree, so none of their calls is hidden", path, lacking)
    members = np.zeros((len(groups), len(samples)), bool)
    for row, group in enumerate(groups):
        members[row, [there[name] for name in group]] = True
    return _useful(members, np.array(lengths), str(path))


def _useful(members: np.ndarray, lengths: np.ndarray, name: str) -> Clades:
    sizes = members.sum(1)
    keep = (sizes >= 2) & (2 * sizes <= members.shape[1])
    if not keep.any():
        raise InputError(f"{name}: no clade of two samples or more, and of half of them at most; give another tree")
    return Clades(members[keep], lengths[keep] if lengths[keep].any() else np.ones(int(keep.sum())))


def _parse(text: str, name: str) -> tuple[list[set[str]], list[float]]:
    """The tips under every node, tips themselves too, and the length of the branch above it; the root is last."""
    done: list[set[str]] = []
    lengths: list[float] = []
    open_nodes: list[set[str]] = []  # the tips found so far under each parenthesis that is still open
    node: set[str] | None = None  # the node just read, which a name or a length may follow
    after_colon = False

    def close(found: set[str]) -> set[str]:
        done.append(found)
        lengths.append(0.0)
        if open_nodes:
            open_nodes[-1] |= found
        return found

    for token in _TOKEN.findall(text):
        if token.startswith("["):  # a comment
            continue
        if token == ";":
            break
        if token == "(":
            open_nodes.append(set())
            node = None
        elif token == ",":
            node = None
        elif token == ")":
            if not open_nodes:
                raise _no_newick(name)
            node = close(open_nodes.pop())
        elif token == ":":
            after_colon = True
        elif after_colon:
            lengths[-1] = _length(token, name, lengths)
            after_colon = False
        elif node is None:
            node = close({token[1:-1].replace("''", "'") if token.startswith("'") else token})
    if open_nodes or len(done) < 3 or len(done[-1]) < 2:
        raise _no_newick(name)
    return done, lengths


def _length(token: str, name: str, lengths: list[float]) -> float:
    try:
        return max(float(token), 0.0)
    except ValueError:
        raise InputError(f"{name}: {token!r} is no branch length; fix the Newick tree") from None


def _no_newick(name: str) -> InputError:
    return InputError(f"{name}: not a Newick tree, such as ((a:1,b:1):2,c:3); give one in that form")


def distances(calls: np.ndarray) -> np.ndarray:
    """Mean difference in ALT-allele count over the loci known in both samples, float64 (N, N); 0 on the diagonal.

    calls: int8 (N, L), -1 missing; at most MOST_LOCI of them serve. Pairs without a common locus get the mean.
    """
    step = max(1, -(-calls.shape[1] // MOST_LOCI))
    calls = calls[:, ::step]
    known = (calls != MISSING).astype(np.float32)
    shared = known @ known.T
    total = np.zeros_like(shared)
    for most in range(1, int(calls.max(initial=1)) + 1):  # |a - b| = sum over t of [a < t <= b] + [b < t <= a]
        above = ((calls >= most) & (calls != MISSING)).astype(np.float32)
        below = known - above
        total += above @ below.T + below @ above.T
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (total / shared).astype(np.float64)
    mean[shared == 0] = np.nanmean(mean) if (shared > 0).any() else 0.0
    np.fill_diagonal(mean, 0.0)
    return mean


def neighbour_joining(distance: np.ndarray) -> Clades:
    """Clades of the neighbour-joining tree (Saitou & Nei 1987) of N samples; distance: float (N, N).

    The tree has no root, so of the two sides of a branch the smaller is taken for the clade. Raises InputError for
    fewer than four samples, whose tree holds none.
    """
    n = len(distance)
    d = distance.astype(np.float64).copy()
    active = np.arange(n)
    inside = np.eye(n, dtype=bool)
    members, lengths = [], []
    while len(active) > 3:
        here = d[np.ix_(active, active)]
        total = here.sum(1)
        score = (len(active) - 2) * here - total[:, None] - total[None, :]
        np.fill_diagonal(score, np.inf)
        a, b = np.unravel_index(int(score.argmin()), score.shape)
        half, lean = here[a, b] / 2, (total[a] - total[b]) / (2 * (len(active) - 2))
        for side, length in ((a, half + lean), (b, half - lean)):
            members.append(inside[active[side]].copy())
            lengths.append(max(length, 0.0))
        i, j = active[a], active[b]
        d[i, active] = d[active, i] = (here[a] + here[b] - here[a, b]) / 2
        d[i, i] = 0.0
        inside[i] |= inside[j]
        active = np.delete(active, b)
    for k, i in enumerate(active):
        others = [active[m] for m in range(len(active)) if m != k]
        members.append(inside[i].copy())
        lengths.append(max((sum(d[i, o] for o in others) - d[others[0], others[-1]]) / 2, 0.0))
    sides = np.array(members)
    sides = np.where((2 * sides.sum(1) > n)[:, None], ~sides, sides)
    return _useful(sides, np.array(lengths), "neighbour-joining tree")
