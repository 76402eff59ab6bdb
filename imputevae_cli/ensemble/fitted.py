"""What a fit leaves behind, and how a checkpoint holds it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from imputevae_cli.config import Config
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence import Evidence
from imputevae_cli.data.genotypes import GenotypeMatrix, Loci
from imputevae_cli.data.haploid import HaploidCells
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.base import Setting
from imputevae_cli.ensemble.ensemble import Ensemble
from imputevae_cli.ensemble.expected import Expected
from imputevae_cli.errors import ConfigError
from imputevae_cli.masking.strategies import Mask
from imputevae_cli.runtime.device import choose_device
from imputevae_cli.runtime.serialise import as_arrays, as_tensors
from imputevae_cli.scoring.metrics import ConfidencePoint

_BLOCK = 1 << 20  # packed bytes at a time


@dataclasses.dataclass
class Fitted:
    """A fitted model with what it was fitted on. population_names: codes 0.. of `ensemble.cohort` stand for these."""

    loci: Loci
    samples: tuple[str, ...]
    population_names: tuple[str, ...]
    ensemble: Ensemble
    mask: Mask
    expected: Expected
    curve: list[ConfidencePoint]

    @property
    def ploidy(self) -> int:
        return self.ensemble.cohort.ploidy

    def rows_of(self, samples: tuple[str, ...], calls: np.ndarray, seen: np.ndarray) -> np.ndarray | None:
        """Rows of the fitted cohort, int64 (N,), where these are samples of the fit, with the very calls of the fit.

        calls: int8 (N, model loci). seen: bool (model loci,), the loci to go by, such as a region's.
        None where any sample is another.
        """
        known = self.ensemble.cohort.calls
        if calls is known and samples == self.samples:
            return np.arange(len(samples))
        row_of = {name: row for row, name in enumerate(self.samples)}
        rows = [row_of.get(name, -1) for name in samples]
        for row, mine in zip(rows, calls, strict=True):
            if row < 0 or not np.array_equal(mine[seen], known[row, seen]):
                return None
        return np.array(rows, np.int64)

    def codes_for(self, genotypes: GenotypeMatrix) -> np.ndarray | None:
        """Population codes, int64 (N,): by popmap, else by the training samples' names, else none."""
        cohort = self.ensemble.cohort
        if not self.population_names:
            return None
        none = len(self.population_names)
        if genotypes.populations is not None:
            code_of = {name: code for code, name in enumerate(self.population_names)}
            return np.array([code_of.get(name, none) for name in genotypes.populations], np.int64)
        assert cohort.populations is not None  # they have names
        by_sample = dict(zip(self.samples, cohort.populations.tolist(), strict=True))
        return np.array([by_sample.get(name, none) for name in genotypes.samples], np.int64)

    def without_panel(self) -> Fitted:
        """The same without the training samples' names, calls and latents, which the VAE can do without.

        Raises ConfigError where the model has parts that cannot do without.
        """
        try:
            ensemble = self.ensemble.without_samples()
        except ValueError as error:
            raise ConfigError(
                f"a checkpoint without the panel cannot hold the decoders {error}; "
                "set model.decoder=vae, or keep the panel"
            ) from error
        mask = Mask((0, self.mask.shape[1]), self.mask.cells[:0], self.mask.fits[:0])
        return dataclasses.replace(self, samples=(), ensemble=ensemble, mask=mask)

    def state(self) -> dict[str, Any]:
        """Plain types and tensors."""
        cohort = self.ensemble.cohort
        return {
            "loci": _loci_state(self.loci),
            "ploidy": cohort.ploidy,
            "samples": list(self.samples),
            "population_names": list(self.population_names),
            "population_codes": None if cohort.populations is None else torch.from_numpy(cohort.populations),
            "calls": torch.from_numpy(pack_calls(cohort.calls, cohort.ploidy)),
            "evidence": None if cohort.evidence is None else as_tensors(cohort.evidence.state()),
            "haploid": None if cohort.haploid is None else as_tensors(cohort.haploid.state()),
            "masks": {
                name: torch.from_numpy(_packed_cells(cells, cohort.calls.size))
                for name, cells in (("hidden", self.mask.cells), ("validation", self.mask.cells[self.mask.fits]))
            },
            "ensemble": self.ensemble.state(),
            "expected": self.expected.state(),
            "curve": [dataclasses.asdict(point) for point in self.curve],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], config: Config) -> Fitted:
        """What `state` took down. Raises KeyError, TypeError, ValueError and the like where it does not fit."""
        loci = _loci_of(state["loci"])
        shape = (len(state["samples"]), len(loci))
        names, codes = tuple(state["population_names"]), state["population_codes"]
        calls = unpack_calls(state["calls"].numpy(), shape, int(state["ploidy"]))
        cells, fits = (_unpacked_cells(state["masks"][name].numpy(), shape) for name in ("hidden", "validation"))
        codes = None if codes is None else codes.numpy()
        evidence = None if state["evidence"] is None else Evidence.from_state(as_arrays(state["evidence"]))
        haploid = None if state["haploid"] is None else HaploidCells.from_state(as_arrays(state["haploid"]))
        where, ploidy = (loci.chrom_codes, loci.positions), int(state["ploidy"])
        cohort = Cohort(calls, *where, ploidy, codes, len(names), evidence, haploid, loci.several)
        hidden = HiddenCells.at(cells, calls, evidence)
        device = choose_device(config.train.device)
        return cls(
            loci=loci,
            samples=tuple(state["samples"]),
            population_names=names,
            ensemble=Ensemble.from_state(state["ensemble"], Setting(cohort, hidden, config, device)),
            mask=Mask(shape, cells, np.isin(cells, fits)),
            expected=Expected.from_state(state["expected"]),
            curve=[ConfidencePoint(**point) for point in state["curve"]],
        )


def _loci_state(loci: Loci) -> dict[str, Any]:
    """Columns of the loci, as plain types and tensors."""
    return {
        "chrom": [str(c) for c in loci.chrom],
        "pos": torch.from_numpy(np.ascontiguousarray(loci.pos)),
        "ref": [str(a) for a in loci.ref],
        "alt": [str(a) for a in loci.alt],
        "cm": None if loci.cm is None else torch.from_numpy(np.ascontiguousarray(loci.cm)),
        "ids": None if loci.ids is None else [str(name) for name in loci.ids],
    }


def _loci_of(state: dict[str, Any]) -> Loci:
    """What `_loci_state` took down. Raises ValueError where the columns are not of one length."""
    if len({len(column) for column in state.values() if column is not None}) != 1:
        raise ValueError("the loci's columns are not of one length")
    return Loci(
        np.array(state["chrom"], object),
        state["pos"].numpy(),
        np.array(state["ref"], object),
        np.array(state["alt"], object),
        None if state["cm"] is None else state["cm"].numpy(),
        None if state.get("ids") is None else np.array(state["ids"], object),
    )


def _shifts(ploidy: int) -> tuple[int, ...]:
    """Where in a byte calls begin: two bits hold the four values of a diploid's, four those of up to 14 alleles."""
    return (0, 2, 4, 6) if ploidy <= 2 else (0, 4)


def pack_calls(calls: np.ndarray, ploidy: int = 2) -> np.ndarray:
    """int8 (N, L), -1..ploidy -> uint8 (ceil(N * L / n),), n calls a byte: 4, or 2 of polyploids."""
    flat, shifts = calls.reshape(-1), _shifts(ploidy)
    n = len(shifts)
    packed = np.zeros(-(-flat.size // n), np.uint8)
    for start in range(0, len(packed), _BLOCK):  # so that what is held beside the calls is small
        codes = (flat[n * start : n * (start + _BLOCK)] + 1).astype(np.uint8)
        codes = np.pad(codes, (0, -len(codes) % n)).reshape(-1, n)
        for column, shift in enumerate(shifts):
            packed[start : start + _BLOCK] |= codes[:, column] << shift
    return packed


def unpack_calls(packed: np.ndarray, shape: tuple[int, int], ploidy: int = 2) -> np.ndarray:
    """What `pack_calls` packed, int8 (N, L). Raises ValueError where the sizes do not agree."""
    shifts = _shifts(ploidy)
    n, mask = len(shifts), 3 if ploidy <= 2 else 15
    if len(packed) != -(-shape[0] * shape[1] // n):
        raise ValueError("the calls are not of these samples and loci")
    calls = np.empty(shape, np.int8)
    flat = calls.reshape(-1)
    for start in range(0, len(packed), _BLOCK):
        codes = np.stack([packed[start : start + _BLOCK] >> shift & mask for shift in shifts], 1).ravel()
        block = flat[n * start : n * (start + _BLOCK)]
        block[:] = codes[: len(block)].astype(np.int8) - np.int8(1)
    return calls


def _packed_cells(cells: np.ndarray, size: int) -> np.ndarray:
    """A bit for each of `size` cells, set at `cells`, int64 rising; uint8 (ceil(size / 8),), as np.packbits does."""
    bits = np.zeros(-(-size // 8), np.uint8)
    np.bitwise_or.at(bits, cells >> 3, (128 >> (cells & 7)).astype(np.uint8))
    return bits


def _unpacked_cells(bits: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """What `_packed_cells` packed, int64. Raises ValueError where the sizes do not agree."""
    if len(bits) != -(-shape[0] * shape[1] // 8):
        raise ValueError("the masks are not of these samples and loci")
    used = np.flatnonzero(bits)
    return (8 * used[:, None] + np.arange(8))[np.unpackbits(bits[used, None], axis=1).astype(bool)]
