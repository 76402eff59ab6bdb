"""Known calls hidden in the way that the missing ones are missing, to score a model honestly.

Where reads fail, whole tags or runs of neighbouring loci are missing together. Cells hidden one by one
would then leave their linked neighbours in view, and the score would promise what the real gaps do not keep.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imputevae_cli.data.frequencies import alt_frequencies_of
from imputevae_cli.data.genotypes import MISSING, genotype_counts, missing_per_sample
from imputevae_cli.data.haploid import HaploidCells


@dataclass(frozen=True)
class PatternRules:
    """From where on the missing calls of a file are held to have a pattern. No measurement; chosen by hand.

    clumped: a `clumping` above this means that whole runs are missing together, more than chance and depth explain.
    lost: where `lost_shares` come to less than this, populations are not held to lose loci as a whole. least_lost:
    samples of a population; the fewer there are, the oftener all of them lack a locus by chance. spread_loci: evenly
    spread over a long file, that are looked at for `lost_shares`. reached: where runs are missing together and few, so
    great a share is hidden of the known calls of all loci that any lies over, so that these still vary.
    """

    clumped: float = 1.08
    lost: float = 0.05
    least_lost: int = 5
    spread_loci: int = 20_000
    reached: float = 0.5


DEFAULT = PatternRules()


def clumping(calls: np.ndarray, chrom_codes: np.ndarray) -> float:
    """How much oftener two neighbouring calls are both missing than chance would have it; 1.0 is chance.

    calls: int8 (samples, loci), -1 missing. chrom_codes: int32 (loci,), rising; pairs do not cross chromosomes.
    Chance is the product of the two loci's missing rates, corrected for the sample's own rate, so that a
    badly sequenced sample alone does not count as clumping. 1.0 where nothing, or everything, is missing.
    """
    joined = chrom_codes[1:] == chrom_codes[:-1]
    both, per_locus, per_sample = 0, np.zeros(calls.shape[1], np.int64), np.empty(len(calls), np.int64)
    for sample, row in enumerate(calls):  # one sample at a time: nothing of the size of the calls is made
        missing = row == MISSING
        both += int(np.count_nonzero(missing[1:] & missing[:-1] & joined))
        per_locus += missing
        per_sample[sample] = np.count_nonzero(missing)
    overall = per_sample.sum() / calls.size
    if not joined.any() or overall in (0.0, 1.0):
        return 1.0
    locus_rate = per_locus / len(calls)
    sample_rate = per_sample / calls.shape[1] / overall
    at = np.flatnonzero(joined)
    expected = (sample_rate**2).sum() * (locus_rate[at] * locus_rate[at + 1]).sum()
    return float(both / expected) if expected > 0 else 1.0


def lost_shares(calls: np.ndarray, populations: np.ndarray, rules: PatternRules = DEFAULT) -> np.ndarray:
    """Of all missing calls, the share at loci that a whole population lacks, beyond chance; float (populations,).

    calls: int8 (samples, loci), -1 missing. populations: int (samples,), codes from 0 on, -1 for none. Chance is the
    product of each member's missing rate and the locus's in the others; a population of fewer than `least_lost`
    samples, or without others, counts as 0. Of a long file `spread_loci` evenly spread loci are looked at.
    """
    some = calls[:, :: max(1, -(-calls.shape[1] // rules.spread_loci))]
    shares = np.zeros(populations.max() + 1)
    lacking = np.zeros((len(shares) + 1, some.shape[1]), np.int64)  # samples that lack the locus; the last has none
    of_sample = np.empty(len(some))
    for sample, row in enumerate(some):  # a sample at a time: nothing of the size of the calls is made
        missing = row == MISSING
        lacking[populations[sample]] += missing
        of_sample[sample] = np.count_nonzero(missing) / len(row)
    in_all = lacking.sum(0)
    overall = in_all.sum() / some.size
    if overall in (0.0, 1.0):
        return shares
    of_sample /= overall
    for population in range(len(shares)):
        members = populations == population
        if members.sum() >= rules.least_lost and not members.all():
            elsewhere = (in_all - lacking[population]) / (~members).sum()
            by_chance = np.zeros(len(elsewhere))
            for rate in of_sample[members]:
                by_chance += np.log(np.clip(rate * elsewhere, 1e-9, 1.0))
            beyond = (lacking[population] == members.sum()).sum() - np.exp(by_chance).sum()
            shares[population] = max(beyond, 0.0) * members.sum() / in_all.sum()
    return shares


def missing_runs(row: np.ndarray, chrom_codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First locus, and one past the last, of every run of missing calls of one sample, int64 (runs,), by locus.

    row: int8 (loci,). No run crosses from one chromosome to another.
    """
    missing = row == MISSING
    follows = np.zeros_like(missing)
    follows[1:] = missing[1:] & missing[:-1] & (chrom_codes[1:] == chrom_codes[:-1])
    ends = missing.copy()
    ends[:-1] &= ~follows[1:]
    return np.flatnonzero(missing & ~follows), np.flatnonzero(ends) + 1


def observed_like_hidden_cells(
    calls: np.ndarray,
    chrom_codes: np.ndarray,
    prop: float,
    rng: np.random.Generator,
    populations: np.ndarray | None = None,
    rules: PatternRules = DEFAULT,
    haploid: HaploidCells | None = None,
) -> np.ndarray:
    """Known cells to hide, chosen so that they are missing as the real missing calls are.

    calls: int8 (samples, loci), -1 missing. chrom_codes: int32 (loci,), rising. prop: share of known calls to hide.
    populations: int (samples,), codes from 0 on, -1 for none; or None.
    Returns int64 (cells,), sample * loci + locus, rising, of known calls. Where missing calls clump (`clumping`), each
    draw lays the place of a real missing run over a random sample; otherwise cells are drawn one by one. Where whole
    populations lack loci beyond chance (`lost_shares`), as great a share of the cells is hidden by the locus. Every
    sample keeps a known call, and a locus that varies still varies in what is left: files hold loci that vary in
    the calls one sees, so to guess at others would measure a task that nobody has. haploid: says who is absent on a
    chromosome, such as females on Y: that is no missing call.
    """
    if haploid is not None and haploid.absent.any():
        present = np.where(haploid.absent_in(0, None), np.int8(0), calls)
        cells = observed_like_hidden_cells(present, chrom_codes, prop, rng, populations, rules)
        return cells[calls.flat[cells] != MISSING]
    shares = np.zeros(1) if populations is None else lost_shares(calls, populations, rules)
    lost = shares.sum() if shares.sum() > rules.lost else 0.0
    by_locus = np.zeros(0, np.int64)
    if lost and populations is not None:
        by_locus = _lose_loci(calls, populations, shares, prop * lost, rng)
    prop *= 1.0 - lost
    if clumping(calls, chrom_codes) > rules.clumped:
        cells = _lay_runs(calls, chrom_codes, prop, rng, rules.reached)
    else:
        n_loci = calls.shape[1]
        drawn = [
            n_loci * sample + np.flatnonzero((row != MISSING) & (rng.random(n_loci) < prop))
            for sample, row in enumerate(calls)
        ]
        cells = np.concatenate(drawn)
    return _leaving_variation(np.union1d(cells, by_locus), calls)


def _lose_loci(
    calls: np.ndarray, populations: np.ndarray, shares: np.ndarray, prop: float, rng: np.random.Generator
) -> np.ndarray:
    """Known cells, int64 (M,) rising, about `prop` of all: random loci, each lost by a population drawn by `shares`."""
    n_loci = calls.shape[1]
    wanted = prop * (calls.size - int(missing_per_sample(calls).sum()))
    members = [np.flatnonzero(populations == population) for population in range(len(shares))]
    loci, cells = rng.permutation(n_loci), []
    losers = np.asarray(rng.choice(len(shares), n_loci, p=shares / shares.sum()))
    for locus, loser in zip(loci.tolist(), losers.tolist(), strict=True):
        if wanted <= 0:
            break
        known = members[loser][calls[members[loser], locus] != MISSING]
        cells.append(known * n_loci + locus)
        wanted -= len(known)
    return np.sort(np.concatenate(cells)) if cells else np.zeros(0, np.int64)


def as_matrix(cells: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """bool (samples, loci), True at cells int64 (M,), sample * loci + locus."""
    matrix = np.zeros(shape, bool)
    matrix.flat[cells] = True
    return matrix


def _leaving_variation(cells: np.ndarray, calls: np.ndarray) -> np.ndarray:
    """Those of `cells`, int64 (M,), that leave their locus varying and their sample a known call."""
    n_samples, n_loci = calls.shape
    samples, loci = np.divmod(cells, n_loci)
    left = genotype_counts(calls, max(3, int(calls.max(initial=0)) + 1))  # (C, L)
    np.subtract.at(left, (calls[samples, loci], loci), 1)
    n_known = n_loci - missing_per_sample(calls)
    n_known -= np.bincount(samples, minlength=n_samples)
    return cells[((left > 0).sum(0) > 1)[loci] & (n_known > 0)[samples]]


def _lay_runs(
    calls: np.ndarray, chrom_codes: np.ndarray, prop: float, rng: np.random.Generator, most: float
) -> np.ndarray:
    """The known cells under randomly laid runs, int64 (M,) rising, until `prop` of the known cells are hidden, or as
    many as `most` of those at loci that runs reach, or `prop` of them if that is more: few runs may lie over few loci.
    """
    n_samples = len(calls)
    runs_before = np.cumsum([0] + [len(missing_runs(row, chrom_codes)[0]) for row in calls])
    n_runs, n_missing = int(runs_before[-1]), int(missing_per_sample(calls).sum())
    n_known = calls.size - n_missing
    reached = np.zeros(calls.shape[1], bool)
    for row in calls:
        reached |= row == MISSING
    n_reached = n_samples * int(np.count_nonzero(reached)) - n_missing
    wanted = min(prop * n_known, max(prop, most) * n_reached)
    expected_per_run = max(n_missing / n_runs * (n_known / calls.size), 0.5)
    hidden, n_hidden = np.zeros(calls.shape, bool), 0
    while (short := wanted - n_hidden) > 0:
        draws = rng.integers(n_runs, size=max(int(short / expected_per_run), 1))
        target = rng.integers(n_samples, size=len(draws))
        starts, lengths = _runs_at(draws, runs_before, calls, chrom_codes)
        for sample, start, length in zip(target.tolist(), starts.tolist(), lengths.tolist(), strict=True):
            hidden[sample, start : start + length] = True
        for covered, row in zip(hidden, calls, strict=True):
            covered &= row != MISSING
        n_hidden = int(np.count_nonzero(hidden))
    return np.flatnonzero(hidden)


def _runs_at(
    draws: np.ndarray, runs_before: np.ndarray, calls: np.ndarray, chrom_codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Start and length, int64 each, of the missing runs of these numbers; runs are found again, for they may be many.

    runs_before: int64 (samples + 1,), runs of the samples before each.
    """
    starts, lengths = np.empty((2, len(draws)), np.int64)
    owner = np.searchsorted(runs_before, draws, "right") - 1
    for sample in np.unique(owner):
        here = np.flatnonzero(owner == sample)
        first, end = missing_runs(calls[sample], chrom_codes)
        number = draws[here] - runs_before[sample]
        starts[here], lengths[here] = first[number], (end - first)[number]
    return starts, lengths


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
    frequency = alt_frequencies_of(calls, ploidy)
    rarity = 1.0 / np.maximum(np.minimum(frequency, 1 - frequency), 0.5 / (ploidy * n_known))
    order = np.argsort(np.log(rng.random(len(rarity)).clip(1e-12)) / rarity, kind="stable")[::-1]
    lost_in = rng.integers(populations.max() + 1, size=len(order))
    lost = known & (populations[:, None] == lost_in)
    enough = np.cumsum(lost[:, order].sum(0)) <= prop * known.sum()
    keep = np.zeros(len(order), bool)
    keep[order[enough]] = True
    return lost & keep
