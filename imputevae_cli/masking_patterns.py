"""Known calls hidden in the way that the missing ones are missing, to score a model honestly.

Where reads fail, whole tags or runs of neighbouring loci are missing together. Cells hidden one by one
would then leave their linked neighbours in view, and the score would promise what the real gaps do not keep.
"""

from __future__ import annotations

import numpy as np

from imputevae_cli.genotypes import MISSING

CLUMPED = 1.08
"""`clumping` above this means that whole runs are missing together, more than chance and depth explain."""


def clumping(calls: np.ndarray, chrom_codes: np.ndarray) -> float:
    """How much oftener two neighbouring calls are both missing than chance would have it; 1.0 is chance.

    calls: int8 (samples, loci), -1 missing. chrom_codes: int32 (loci,), rising; pairs do not cross chromosomes.
    Chance is the product of the two loci's missing rates, corrected for the sample's own rate, so that a
    badly sequenced sample alone does not count as clumping. 1.0 where nothing, or everything, is missing.
    """
    missing = calls == MISSING
    joined = np.flatnonzero(chrom_codes[1:] == chrom_codes[:-1])
    overall = missing.mean()
    if not len(joined) or overall in (0.0, 1.0):
        return 1.0
    both = (missing[:, joined] & missing[:, joined + 1]).sum()
    locus_rate = missing.mean(0)
    sample_rate = missing.mean(1) / overall
    expected = (sample_rate**2).sum() * (locus_rate[joined] * locus_rate[joined + 1]).sum()
    return float(both / expected) if expected > 0 else 1.0


def missing_runs(calls: np.ndarray, chrom_codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First locus, and one past the last, of every run of missing calls within a chromosome, int64 (runs,)."""
    missing = calls == MISSING
    breaks = np.r_[True, chrom_codes[1:] != chrom_codes[:-1]]
    follows = missing & np.c_[np.zeros(len(calls), bool), missing[:, :-1]] & ~breaks
    starts = missing & ~follows
    ends = missing & ~np.c_[follows[:, 1:], np.zeros(len(calls), bool)]
    return np.nonzero(starts)[1], np.nonzero(ends)[1] + 1


def observed_like_hidden_cells(
    calls: np.ndarray, chrom_codes: np.ndarray, prop: float, rng: np.random.Generator
) -> np.ndarray:
    """Known cells to hide, chosen so that they are missing as the real missing calls are.

    calls: int8 (samples, loci), -1 missing. chrom_codes: int32 (loci,), rising. prop: share of known calls to hide.
    Returns bool (samples, loci), True only at known calls. Where missing calls clump (`clumping`), each draw
    lays the place of a real missing run over a random sample; otherwise cells are drawn one by one. Every
    sample keeps a known call, and a locus that varies still varies in what is left: files hold loci that vary in
    the calls one sees, so to guess at others would measure a task that nobody has.
    """
    known = calls != MISSING
    if clumping(calls, chrom_codes) > CLUMPED:
        hidden = _lay_runs(known, *missing_runs(calls, chrom_codes), prop, rng)
    else:
        hidden = known & (rng.random(calls.shape) < prop)
    left = known & ~hidden
    varies = np.where(left, calls, np.iinfo(np.int8).max).min(0) < np.where(left, calls, -1).max(0)
    hidden[:, ~varies] = False
    hidden[~left.any(1)] = False
    return hidden


def _lay_runs(
    known: np.ndarray, starts: np.ndarray, ends: np.ndarray, prop: float, rng: np.random.Generator
) -> np.ndarray:
    """Hide the known cells under randomly laid runs until `prop` of the known cells are hidden."""
    n_samples = len(known)
    lengths = ends - starts
    wanted = prop * known.sum()
    hidden = np.zeros_like(known)
    expected_per_run = max(lengths.mean() * known.mean(), 0.5)
    while (short := wanted - hidden.sum()) > 0:
        draws = rng.integers(len(starts), size=max(int(short / expected_per_run), 1))
        target = np.repeat(rng.integers(n_samples, size=len(draws)), lengths[draws])
        offset = np.arange(len(target)) - np.repeat(np.cumsum(lengths[draws]) - lengths[draws], lengths[draws])
        locus = np.repeat(starts[draws], lengths[draws]) + offset
        hidden[target, locus] = known[target, locus]
    return hidden


def hidden_clades(
    known: np.ndarray, members: np.ndarray, weights: np.ndarray, prop: float, rng: np.random.Generator
) -> np.ndarray:
    """Known cells to hide, bool (samples, loci): clades drawn by weight lose loci drawn at random.

    known: bool (samples, loci). members: bool (clades, samples). weights: float (clades,), not all 0. prop: share of
    the known cells; where the clades cannot give as many, all that they give in a bounded number of rounds.
    """
    n_loci = known.shape[1]
    wanted = round(prop * known.sum())
    hidden = np.zeros_like(known)
    shares = weights / weights.sum()
    expected_per_draw = max(float(shares @ members.sum(1)) * known.mean(), 0.5)
    for _ in range(100):
        short = wanted - int(hidden.sum())
        if short <= 0:
            break
        drawn = rng.choice(len(members), size=max(int(short / expected_per_draw), 1), p=shares)
        loci = rng.integers(n_loci, size=len(drawn))
        for clade in np.unique(drawn).tolist():
            hidden[np.ix_(members[clade], np.unique(loci[drawn == clade]))] = True
        hidden &= known
    return hidden


def dropped_loci(
    calls: np.ndarray, ploidy: int, populations: np.ndarray, prop: float, rng: np.random.Generator
) -> np.ndarray:
    """Known cells to hide, bool (samples, loci): loci that one population loses, those of rare alleles first.

    A locus is drawn with a chance in inverse proportion to its minor-allele frequency, and lost in one population, as
    where a mutation in a restriction site, or a primer that no longer fits, has become common there.
    calls: int8 (samples, loci), -1 missing. populations: int (samples,) codes. prop: share of the known cells; where
    one population at every locus does not come to as many, fewer are hidden.
    """
    known = calls != MISSING
    n_known = np.maximum(known.sum(0), 1)
    frequency = np.where(known, calls, 0).sum(0) / (ploidy * n_known)
    rarity = 1.0 / np.maximum(np.minimum(frequency, 1 - frequency), 0.5 / (ploidy * n_known))
    order = np.argsort(np.log(rng.random(len(rarity)).clip(1e-12)) / rarity, kind="stable")[::-1]
    lost_in = rng.integers(populations.max() + 1, size=len(order))
    lost = known & (populations[:, None] == lost_in)
    enough = np.cumsum(lost[:, order].sum(0)) <= prop * known.sum()
    keep = np.zeros(len(order), bool)
    keep[order[enough]] = True
    return lost & keep
