"""What the copying decoder learned of a cohort: genotype probabilities, phase, and a panel for later samples."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

import numpy as np

from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.copying import calibration as copying_calibration
from imputevae_cli.decoders.copying.calibration import Calibration
from imputevae_cli.decoders.copying.rules import CalibrationRules
from imputevae_cli.decoders.copying.schedule import DOSE_UNIT, Schedule
from imputevae_cli.errors import CheckpointError
from imputevae_cli.runtime.serialise import as_arrays, as_tensors

GRID = 1024  # loci between the places where cells are counted ahead


@dataclass(frozen=True)
class HaplotypePanel:
    """Phased haplotypes that later samples are filled from, and what the decoder needs beside them.

    packed: uint8 (rows, ceil(L / 8)), a bit per allele, 1 is ALT. switch: float32 (L,), the switch probability before
    each locus. frequencies: float32 (L, ploidy + 1), of the genotypes.
    """

    packed: np.ndarray
    switch: np.ndarray
    frequencies: np.ndarray
    ploidy: int
    schedule: Schedule
    calibration: Calibration

    @property
    def haplotypes(self) -> np.ndarray:
        """uint8 (rows, L): 0 REF, 255 ALT."""
        return self.stretch(0, len(self.switch))

    def stretch(self, start: int, stop: int) -> np.ndarray:
        """uint8 (rows, stop - start): `haplotypes` of some loci."""
        first = start // 8
        bits = np.unpackbits(self.packed[:, first : -(-stop // 8)], axis=1)
        return np.ascontiguousarray(bits[:, start - 8 * first : stop - 8 * first]) * np.uint8(255)

    def to_dict(self) -> dict:
        """Arrays and plain values, for a checkpoint."""
        plain = {name: getattr(self, name) for name in ("packed", "switch", "frequencies", "ploidy")}
        return plain | {"schedule": asdict(self.schedule), "calibration": asdict(self.calibration)}

    @classmethod
    def from_dict(cls, values: dict) -> HaplotypePanel:
        """The panel that `to_dict` wrote. Raises CheckpointError where a part is missing or unknown."""
        try:
            learned = {"schedule": _schedule(values["schedule"]), "calibration": Calibration(**values["calibration"])}
            return cls(**values | learned)
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"the checkpoint's haplotype panel is not of this version: {error}") from error


@dataclass(frozen=True)
class HaplotypePosterior:
    """The filled cohort.

    calls: int8 (N, L), all known calls. hidden: those of them that the decoder did not see. doses: uint16 (cells that
    the decoder did not see, 2), sample by sample, 65535 times the chances of 0 and of `ploidy` ALT alleles. packed:
    uint8 (N * ploidy, ceil(L / 8)), a bit per allele, 1 is ALT. ahead: uint8 (N, ceil(L / 8)), a bit where ALT is
    likelier on the first haplotype. switch: float32 (L,), the switch probability before each locus. frequencies:
    float32 (L, ploidy + 1). ends: uint8 (chains - 1, N * ploidy, ceil(L / 8)), as `packed`, which is of the last chain:
    the haplotypes that the others ended with; None where no fit is to go on from them.
    """

    calls: np.ndarray
    hidden: HiddenCells
    ploidy: int
    doses: np.ndarray
    packed: np.ndarray
    ahead: np.ndarray
    schedule: Schedule
    switch: np.ndarray
    frequencies: np.ndarray
    calibration: Calibration = field(default_factory=Calibration)
    ends: np.ndarray | None = None

    def gp(self, start: int, stop: int) -> np.ndarray:
        """Genotype probabilities of loci start..stop (exclusive), float32 (N, stop - start, ploidy + 1).

        A known call has 1 at its genotype, be it hidden from the decoder.
        """
        gp = self.shown_gp(start, stop)
        first, last = np.searchsorted(self.hidden.loci, [start, stop])
        cells = self.hidden.samples[first:last], self.hidden.loci[first:last] - start
        gp[cells] = np.eye(self.ploidy + 1, dtype=np.float32)[self.hidden.truth[first:last]]
        return gp

    def shown_gp(self, start: int, stop: int) -> np.ndarray:
        """As `gp`, but a call that was hidden from the decoder has what the decoder makes of it."""
        shown = self._shown(start, stop)
        unseen = shown == MISSING
        loci = np.nonzero(unseen)[1]
        gp = np.zeros((*shown.shape, self.ploidy + 1), np.float32)
        raw = self._raw_gp(self._places(start, unseen))
        gp[unseen] = self.calibration.apply(raw, self.frequencies[start + loci])
        for genotype in range(self.ploidy + 1):
            gp[shown == genotype, genotype] = 1.0
        return gp

    def calibrated(self, cells: HiddenCells, rules: CalibrationRules | None = None) -> HaplotypePosterior:
        """The same, with probabilities fitted to known calls that the decoder did not see."""
        raw = []
        for start, stop, some in cells.blocks(self.calls.shape[1], GRID):
            samples, loci = cells.samples[some], cells.loci[some]
            unseen = self._shown(start, stop) == MISSING
            place = np.zeros(unseen.shape, np.int64)
            place[unseen] = self._places(start, unseen)
            raw.append(self._raw_gp(place[samples, loci - start]))
        gp = np.concatenate(raw) if raw else np.zeros((0, self.ploidy + 1), np.float32)
        order = np.lexsort((cells.loci, cells.samples))
        fitted = copying_calibration.fit(gp[order], self.frequencies[cells.loci[order]], cells.target[order], rules)
        return replace(self, calibration=fitted)

    def mix_into(self, doses: np.ndarray, calls: np.ndarray, share: float) -> None:
        """Give `share` of doses, uint16 (missing cells of `calls`, 2), to what this says of the same cells, in place.

        calls: int8 (N, L), those of this posterior and more.
        """
        order = np.argsort(self.hidden.samples, kind="stable")
        edges = np.searchsorted(self.hidden.samples[order], np.arange(len(calls) + 1))
        first = before = 0
        for n, (shown, known) in enumerate(zip(self.calls, calls, strict=True)):
            shown = shown.copy()
            shown[self.hidden.loci[order[edges[n] : edges[n + 1]]]] = MISSING
            still = known[shown == MISSING] == MISSING
            own = doses[first : first + np.count_nonzero(still)]
            earlier = self.doses[before : before + len(still)][still]
            own[:] = np.rint(np.float32(1 - share) * own + np.float32(share) * earlier)
            first, before = first + len(own), before + len(still)

    def _shown(self, start: int, stop: int) -> np.ndarray:
        """int8 (N, stop - start), the calls as the decoder saw them."""
        calls = self.calls[:, start:stop].copy()
        self.hidden.hide(calls, start)
        return calls

    def alt_first(self, start: int, stop: int) -> np.ndarray:
        """bool (N, stop - start): whether a heterozygote's ALT is on the first haplotype, for writing phase."""
        if self.ploidy == 1:
            return np.ones((len(self.calls), stop - start), bool)
        first, last = start // 8, -(-stop // 8)
        bits = np.unpackbits(self.ahead[:, first:last], axis=1)
        return bits[:, start - 8 * first : stop - 8 * first].astype(bool)

    def panel(self) -> HaplotypePanel:
        """The panel to save: this cohort's haplotypes, hard alleles."""
        return HaplotypePanel(self.packed, self.switch, self.frequencies, self.ploidy, self.schedule, self.calibration)

    def to_dict(self) -> dict:
        """Arrays and plain values, for a checkpoint; the calls are kept there once, for all parts."""
        return {"doses": self.doses, "panel": self.panel().to_dict()}

    @classmethod
    def from_dict(cls, values: dict, calls: np.ndarray, hidden: HiddenCells) -> HaplotypePosterior:
        """The posterior that `to_dict` wrote. Raises CheckpointError where a part is missing or unknown."""
        panel = HaplotypePanel.from_dict(values["panel"])
        shared = {name: getattr(panel, name) for name in ("ploidy", "schedule", "switch", "frequencies", "calibration")}
        own = {name: value for name, value in values.items() if name != "panel"}
        pair = panel.packed[:: panel.ploidy], panel.packed[panel.ploidy - 1 :: panel.ploidy]
        return cls(calls=calls, hidden=hidden, packed=panel.packed, ahead=pair[0] & ~pair[1], **own, **shared)

    @property
    def haplotypes(self) -> np.ndarray:
        """uint8 (N * ploidy, L): 0 REF, 255 ALT."""
        return self.panel().haplotypes

    def state(self) -> dict:
        """All but the calls as tensors and plain values; unlike `to_dict`, with what `ahead` knows of soft alleles, and
        with `ends`."""
        arrays = {name: getattr(self, name) for name in ("doses", "packed", "ahead")}
        arrays |= {} if self.ends is None else {"ends": self.ends}
        rest = {name: getattr(self, name) for name in ("ploidy", "switch", "frequencies")}
        return as_tensors(arrays | rest) | {"schedule": asdict(self.schedule), "calibration": asdict(self.calibration)}

    @classmethod
    def from_state(cls, values: dict, calls: np.ndarray, hidden: HiddenCells) -> HaplotypePosterior:
        """The posterior that `state` took down."""
        learned = {"schedule": _schedule(values["schedule"]), "calibration": Calibration(**values["calibration"])}
        return cls(calls=calls, hidden=hidden, **as_arrays(values) | learned)

    @cached_property
    def _counted(self) -> np.ndarray:
        """int64 (1 + L // GRID, N): unseen cells of all samples before, and of each sample's loci before g * GRID."""
        edges = range(0, self.calls.shape[1], GRID)
        per_piece = np.array([(self._shown(a, a + GRID) == MISSING).sum(1) for a in edges], np.int64)  # (G, N)
        total = per_piece.sum(0)
        ahead = np.cumsum(total) - total
        return ahead + np.concatenate([np.zeros_like(total)[None], np.cumsum(per_piece, 0)])

    def _places(self, start: int, unseen: np.ndarray) -> np.ndarray:
        """int64: rows of `doses` of the unseen cells from locus `start` on, sample by sample; bool (N, t)."""
        piece = start // GRID
        before = self._counted[piece] + (self._shown(piece * GRID, start) == MISSING).sum(1)
        counts = unseen.sum(1)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(before, counts) + within

    def _raw_gp(self, cells: np.ndarray) -> np.ndarray:
        """float32 (cells, ploidy + 1) before calibration; cells: int64, rows of `doses`."""
        doses = self.doses[cells] * np.float32(1.0 / DOSE_UNIT)
        if self.ploidy == 1:
            return doses
        gp = np.stack([doses[:, 0], 1.0 - doses[:, 0] - doses[:, 1], doses[:, 1]], 1)
        return np.clip(gp, 0.0, 1.0)


@dataclass(frozen=True)
class Stretch:
    """A posterior of the loci from `first` on alone, asked by the loci's places in the whole."""

    posterior: HaplotypePosterior
    first: int

    def gp(self, start: int, stop: int) -> np.ndarray:
        """See `HaplotypePosterior.gp`."""
        return self.posterior.gp(start - self.first, stop - self.first)

    def alt_first(self, start: int, stop: int) -> np.ndarray:
        """See `HaplotypePosterior.alt_first`."""
        return self.posterior.alt_first(start - self.first, stop - self.first)

    def state(self) -> dict:
        """All but the calls as tensors and plain values."""
        return {"first": self.first, "posterior": self.posterior.state()}

    @classmethod
    def from_state(cls, values: dict, calls: np.ndarray) -> Stretch:
        """The stretch that `state` took down; calls: int8 (N, L) of all loci."""
        first = values["first"]
        part = np.ascontiguousarray(calls[:, first : first + len(values["posterior"]["switch"])])
        return cls(HaplotypePosterior.from_state(values["posterior"], part, HiddenCells.none()), first)


def _schedule(values: dict) -> Schedule:
    return Schedule(**values | {"scales": tuple(values["scales"])})
