"""Genetic maps in PLINK's form: chromosome, marker, centimorgans, base pairs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imputevae_cli.data.genotypes import Loci
from imputevae_cli.errors import InputError, why_unreadable
from imputevae_cli.log import logger

BP_PER_CM = 1e6
"""Of a chromosome that the map does not hold, and where a single marker gives no rate."""


@dataclass(frozen=True)
class GeneticMap:
    """name: the file. markers: chromosome -> (base pairs, centimorgans), float64 (markers,) each, rising."""

    name: str
    markers: dict[str, tuple[np.ndarray, np.ndarray]]

    @classmethod
    def read(cls, path: str | Path) -> GeneticMap:
        """Read a file of four columns, blank separated. Raises InputError, naming the line."""
        rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
        try:
            lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = why_unreadable(error)
            raise InputError(f"{path}: the genetic map cannot be read ({why}); give a PLINK map as text") from error
        for number, line in enumerate(lines, 1):
            fields = line.split()
            if not fields or line.startswith("#"):
                continue
            try:
                chrom, _, cm, bp = fields
                rows[chrom].append((float(bp), float(cm)))
            except ValueError:
                raise InputError(
                    f"{path}: line {number} is not `chromosome marker centimorgans basepairs`; fix it"
                ) from None
        if not rows:
            raise InputError(f"{path}: the genetic map is empty; leave --map out to go by base pairs")
        markers = {chrom: _rising(path, chrom, pairs) for chrom, pairs in rows.items()}
        return cls(str(path), markers)

    def centimorgans(self, loci: Loci) -> np.ndarray:
        """Genetic position of each locus, float64 (L,): interpolated, and extended beyond the ends at the mean rate."""
        cm = np.empty(len(loci))
        absent = []
        for chrom in dict.fromkeys(loci.chrom):
            here = loci.chrom == chrom
            bp = loci.pos[here].astype(np.float64)
            if chrom not in self.markers:
                absent.append(chrom)
                cm[here] = bp / BP_PER_CM
                continue
            known_bp, known_cm = self.markers[chrom]
            span = known_bp[-1] - known_bp[0]
            rate = (known_cm[-1] - known_cm[0]) / span if span else 1 / BP_PER_CM
            beyond = np.minimum(bp - known_bp[0], 0) + np.maximum(bp - known_bp[-1], 0)
            cm[here] = np.interp(bp, known_bp, known_cm) + rate * beyond
        if len(absent) == len(dict.fromkeys(loci.chrom)):
            raise InputError(
                f"{self.name}: holds none of the file's chromosomes ({absent[0]}, ...); use the file's names in the map"
            )
        if absent:
            logger.warning("%s: lacks %d chromosomes; there 1 cM is taken for 1 Mb", self.name, len(absent))
        return cm


def _rising(path: str | Path, chrom: str, pairs: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    bp, cm = np.array(sorted(pairs)).T
    if (np.diff(cm) < 0).any():
        raise InputError(f"{path}: centimorgans fall along chromosome {chrom}; sort out the map")
    return bp, cm
