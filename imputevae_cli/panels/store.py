"""A reference panel in one file: haplotypes in bits, by blocks of loci, of which only those asked for are read.

    magic | blocks | index | place and length of the index, magic

Everything between the two magics is deflated (zlib), whose checksum tells damage when a piece is read. A block has the
alleles of BLOCK_LOCI loci, a bit each, and apart from them the loci's REF, ALT and ID. The index is JSON: samples,
settings of the making, and for each chromosome where its blocks, its positions and its counts of ALT alleles lie.
(After bref3, the format of Beagle, which likewise keeps blocks of loci apart.)
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from imputevae_cli.errors import CheckpointError
from imputevae_cli.io.outputs import atomic_output
from imputevae_cli.runtime.panel_file import PANEL_MAGIC, is_panel

FORMAT_VERSION = 1
BLOCK_LOCI = 1024
LEVEL = 1  # deflates a panel of 300 samples to a seventh; 6 takes four times as long for a tenth less
TRAILER = struct.Struct("<QQ16s")
Piece = tuple[int, int]
"""Where a deflated piece begins in the file, and its length."""


@dataclass
class Chromosome:
    """Where a chromosome lies in the file. positions: int32, alt_counts: int32, of all its loci. blocks: of its loci,
    BLOCK_LOCI each; sites: their alleles and names."""

    name: str
    n_loci: int = 0
    positions: Piece = (0, 0)
    alt_counts: Piece = (0, 0)
    blocks: list[Piece] = field(default_factory=list)
    sites: list[Piece] = field(default_factory=list)


@dataclass(frozen=True)
class PanelLoci:
    """Loci of one chromosome. index: int64 (b,), their places on it. pos: int64 (b,). ids: "" for none."""

    index: np.ndarray
    pos: np.ndarray
    ref: list[str]
    alt: list[str]
    ids: list[str]


class PanelWriter:
    """Writes a panel, locus by locus in order; what it holds is a block of loci, and positions and counts of one
    chromosome."""

    def __init__(self, file: BinaryIO, samples: Sequence[str]):
        self._file, self._samples = file, list(samples)
        self._chroms: list[Chromosome] = []
        self._haplotypes: list[np.ndarray] = []
        self._sites: list[str] = []
        self._pos: list[np.ndarray] = []
        self._counts: list[np.ndarray] = []
        file.write(PANEL_MAGIC)

    def add(self, chrom: str, pos: np.ndarray, sites: Sequence[tuple[str, str, str]], haplotypes: np.ndarray) -> None:
        """Loci of a chromosome. pos: int64 (b,). sites: REF, ALT and ID of each. haplotypes: uint8 (b, H), 0 or 1."""
        if not self._chroms or self._chroms[-1].name != chrom:
            self._end_chromosome()
            self._chroms.append(Chromosome(chrom))
        self._pos.append(pos)
        self._counts.append(haplotypes.sum(axis=1, dtype=np.int64))
        self._haplotypes.extend(haplotypes)
        self._sites.extend("\t".join(site) for site in sites)
        while len(self._haplotypes) >= BLOCK_LOCI:
            self._write_block(BLOCK_LOCI)

    def close(self, made: dict[str, Any]) -> None:
        """Write the index. made: plain values that say what made the panel, and how."""
        self._end_chromosome()
        index = {
            "format_version": FORMAT_VERSION,
            "samples": self._samples,
            "made": made,
            "chromosomes": [asdict(one) for one in self._chroms],
        }
        self._file.write(TRAILER.pack(*self._piece(json.dumps(index).encode()), PANEL_MAGIC))

    def _piece(self, data: bytes) -> Piece:
        start = self._file.tell()
        return start, self._file.write(zlib.compress(data, LEVEL))

    def _write_block(self, n_loci: int) -> None:
        block, self._haplotypes = self._haplotypes[:n_loci], self._haplotypes[n_loci:]
        sites, self._sites = self._sites[:n_loci], self._sites[n_loci:]
        chrom = self._chroms[-1]
        chrom.blocks.append(self._piece(np.packbits(np.array(block, np.uint8), axis=1).tobytes()))
        chrom.sites.append(self._piece("\n".join(sites).encode()))

    def _end_chromosome(self) -> None:
        if not self._chroms:
            return
        if self._haplotypes:
            self._write_block(len(self._haplotypes))
        chrom = self._chroms[-1]
        pos, counts = (np.concatenate(parts).astype("<i4") for parts in (self._pos, self._counts))
        chrom.n_loci = len(pos)
        chrom.positions, chrom.alt_counts = self._piece(pos.tobytes()), self._piece(counts.tobytes())
        self._pos, self._counts = [], []


@contextmanager
def panel_output(path: str | Path, samples: Sequence[str]) -> Iterator[PanelWriter]:
    """A panel that appears at `path` whole, once it was closed, or not at all. Raises OutputError."""
    with atomic_output(path) as temporary, open(temporary, "wb") as file:
        yield PanelWriter(file, samples)


class PanelStore:
    """A panel on disk. samples: names; sample i has haplotypes 2 i and 2 i + 1. made: what made it, and how."""

    def __init__(self, path: str | Path, name: str | None = None):
        """Reads the index alone. name: what the user calls the panel, where that is not its path. Raises
        CheckpointError, naming the file, where it is no panel or is damaged."""
        self.path, self.name = Path(path), name or str(path)
        if not self.path.is_file():
            raise CheckpointError(f"{path}: there is no such panel; `imputevae train PANEL --as-panel` makes one")
        if not is_panel(path):
            raise CheckpointError(
                f"{path}: is no packed reference panel; make one with `imputevae train PANEL.vcf.gz --as-panel`"
            )
        index = self._index()
        self.digest = hashlib.blake2b(json.dumps(index).encode(), digest_size=16).hexdigest()
        """Of the index, which says where each piece lies and what made the panel."""
        self.samples = tuple(index["samples"])
        self.made: dict[str, Any] = index["made"]
        self._chroms = {one["name"]: Chromosome(**one) for one in index["chromosomes"]}
        # Neighbouring loci are asked for one after the other
        self._lines = lru_cache(maxsize=4)(self._sites)
        self._numbers = lru_cache(maxsize=4)(self._read_numbers)

    def _index(self) -> dict[str, Any]:
        end = self._read(max(self.path.stat().st_size - TRAILER.size, 0), TRAILER.size)
        if len(end) < TRAILER.size or not end.endswith(PANEL_MAGIC):
            raise self._damaged()
        start, length, _ = TRAILER.unpack(end)
        try:
            index = json.loads(self._piece((start, length)))
            version = index["format_version"]
        except (ValueError, KeyError, TypeError):
            raise self._damaged() from None
        if version != FORMAT_VERSION:
            raise CheckpointError(
                f"{self.path}: has panel format {version}, this imputevae reads {FORMAT_VERSION}; make it again"
            )
        return index

    def _piece(self, place: Sequence[int]) -> bytes:
        start, length = place
        if start + length > self.path.stat().st_size:  # a length that is damaged may be more than memory holds
            raise self._damaged()
        try:
            return zlib.decompress(self._read(start, length))
        except (OverflowError, ValueError, zlib.error):
            raise self._damaged() from None

    def _read(self, start: int, length: int) -> bytes:
        try:
            with open(self.path, "rb") as file:
                file.seek(start)
                return file.read(length)
        except OSError as error:
            raise CheckpointError(
                f"{self.path}: cannot be read ({error.strerror or error}); check the file and its disk"
            ) from error

    def _damaged(self) -> CheckpointError:
        return CheckpointError(f"{self.path}: the panel is damaged or cut short; copy it again, or make it again")

    @property
    def chroms(self) -> tuple[str, ...]:
        """Names of the chromosomes, in the order of the panel."""
        return tuple(self._chroms)

    @property
    def n_haplotypes(self) -> int:
        """Two for each sample, haploid ones too."""
        return 2 * len(self.samples)

    @cached_property
    def n_loci(self) -> int:
        """Number of loci, of all chromosomes."""
        return sum(one.n_loci for one in self._chroms.values())

    @cached_property
    def loci_before(self) -> dict[str, int]:
        """Loci of the chromosomes before each."""
        sizes = [one.n_loci for one in self._chroms.values()]
        return dict(zip(self._chroms, [0, *np.cumsum(sizes).tolist()], strict=False))

    def positions(self, chrom: str) -> np.ndarray:
        """int64 (L,), of all loci of a chromosome, rising."""
        return self._numbers(chrom, "positions")

    def alt_counts(self, chrom: str) -> np.ndarray:
        """int64 (L,): haplotypes that carry ALT."""
        return self._numbers(chrom, "alt_counts")

    def loci(self, chrom: str, index: np.ndarray) -> PanelLoci:
        """Some loci of a chromosome. index: int64 (b,), rising."""
        ref, alt, ids = [], [], []
        for block, rows in _by_block(index):
            lines = self._lines(chrom, block)
            for row in rows.tolist():
                one_ref, one_alt, one_id = lines[row].split("\t")
                ref.append(one_ref)
                alt.append(one_alt)
                ids.append(one_id)
        return PanelLoci(index, self.positions(chrom)[index], ref, alt, ids)

    def _read_numbers(self, chrom: str, kind: str) -> np.ndarray:
        """int64 (L,): a number for each locus of a chromosome."""
        return np.frombuffer(self._piece(getattr(self._chroms[chrom], kind)), "<i4").astype(np.int64)

    def _sites(self, chrom: str, block: int) -> list[str]:
        """REF, ALT and ID of each locus of a block, parted by tabs."""
        return self._piece(self._chroms[chrom].sites[block]).decode().split("\n")

    def haplotypes(self, chrom: str, index: np.ndarray) -> np.ndarray:
        """uint8 (H, b), 0 REF, 1 ALT, of some loci of a chromosome. index: int64 (b,), rising."""
        out = np.empty((self.n_haplotypes, len(index)), np.uint8)
        width, done = -(-self.n_haplotypes // 8), 0
        for block, rows in _by_block(index):
            bits = np.frombuffer(self._piece(self._chroms[chrom].blocks[block]), np.uint8).reshape(-1, width)
            out[:, done : done + len(rows)] = np.unpackbits(bits[rows], axis=1, count=self.n_haplotypes).T
            done += len(rows)
        return out


def _by_block(index: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The blocks that hold some loci, int64 (b,), rising, and their places in each."""
    blocks = index // BLOCK_LOCI
    for block in np.unique(blocks).tolist():
        yield block, index[blocks == block] - block * BLOCK_LOCI
