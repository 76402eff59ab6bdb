"""Reading PLINK 1 files, .bed with its .bim and .fam, by way of VCF text.

https://www.cog-genomics.org/plink/1.9/formats#bed. ALT is A1 and REF is A2, as plink2 reads them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imputevae_cli.data.genotypes import Loci
from imputevae_cli.errors import InputError, why_unreadable
from imputevae_cli.io.bgzf import BgzfFile
from imputevae_cli.io.inputs.vcf_text_of_arrays import Records, header, lines, texts_of_calls

MAGIC = b"\x6c\x1b"
"""What a .bed begins with; a third byte of 1 says that its loci follow one another."""
BLOCK_CELLS = 1 << 22
N_ALT = np.array([2, -1, 1, 0], np.int8)
"""Count of A1 by the two bits of a call."""
CALLS_OF_BYTE = N_ALT[(np.arange(256)[:, None] >> np.array([0, 2, 4, 6])) & 3]
"""int8 (256, 4): the four calls of a byte."""
NO_ALLELE = ("0", ".")


def write_as_vcf(path: Path, name: str, out: Path) -> None:
    """Write a .bed as a VCF.gz at `out`. Raises InputError, naming file and line, where it cannot be used."""
    samples = _samples(_beside(path, name, ".fam"))
    loci = _loci(_beside(path, name, ".bim"))
    n_bytes = -(-len(samples) // 4)
    _check_size(path, name, len(loci) * n_bytes, f"{len(samples)} samples and {len(loci)} loci")
    bits = np.memmap(path, np.uint8, "r", 3, (len(loci), n_bytes)) if len(loci) else np.zeros((0, n_bytes), np.uint8)
    size = max(BLOCK_CELLS // max(len(samples), 1), 1)
    with BgzfFile(out, 1) as file:
        file.write(header(samples, list(dict.fromkeys(loci.chrom.tolist()))))
        for start in range(0, len(loci), size):
            some = np.arange(start, min(start + size, len(loci)))
            codes = bits[some]
            _check_padding(codes, name, len(samples))
            calls = CALLS_OF_BYTE[codes].reshape(len(some), -1)[:, : len(samples)]
            file.write(b"".join(lines(Records(loci.take(some), {"GT": texts_of_calls(calls, 2)}))))


def _beside(path: Path, name: str, ending: str) -> Path:
    beside = path.with_suffix(ending)
    if not beside.is_file():
        raise InputError(f"{name}: there is no {beside.name} beside it, which a .bed needs; copy it there")
    return beside


def _check_size(path: Path, name: str, n_bytes: int, of_what: str) -> None:
    with open(path, "rb") as file:
        head = file.read(3)
    if head[2:] != b"\x01":
        raise InputError(f"{name}: its samples follow one another, as in files of PLINK before 1.0; make it again")
    found = path.stat().st_size - 3
    if found != n_bytes:
        raise InputError(
            f"{name}: holds {found} bytes of calls, and {of_what} of .fam and .bim need {n_bytes}; the three files do "
            "not belong together, or one is cut short"
        )


def _check_padding(codes: np.ndarray, name: str, n_samples: int) -> None:
    """Raise InputError where the bits behind the last sample, which are 0, hold calls. codes: uint8 (loci, bytes)."""
    if n_samples % 4 and (codes[:, -1] >> 2 * (n_samples % 4)).any():
        raise InputError(
            f"{name}: holds calls of more than the {n_samples} samples of its .fam; the two do not belong together"
        )


def _rows(path: Path, n_columns: int) -> list[list[str]]:
    """The columns of a file, parted by blanks."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({why_unreadable(error)}); make it again") from error
    rows = [line.split() for line in text.splitlines()]
    for number, row in enumerate(rows, 1):
        if len(row) < n_columns:
            raise InputError(f"{path}: line {number} has {len(row)} columns, not {n_columns}; fix that line")
    return rows


def _samples(path: Path) -> list[str]:
    """The samples' own names, with the family's before them where these repeat."""
    rows = _rows(path, 2)
    if not rows:
        raise InputError(f"{path}: names no samples; give the .fam of the .bed")
    count = Counter(row[1] for row in rows)
    names = [row[1] if count[row[1]] == 1 else f"{row[0]}_{row[1]}" for row in rows]
    twice = [sample for sample, n in Counter(names).items() if n > 1]
    if twice:
        raise InputError(f"{path}: sample {twice[0]!r} is named twice; rename one")
    return names


def _loci(path: Path) -> Loci:
    rows = _rows(path, 6)
    for number, row in enumerate(rows, 1):
        if not row[3].isdigit():
            raise InputError(f"{path}: line {number}: the position {row[3]!r} is not a number; fix that line")
    chrom, ids, _, pos, a1, a2 = (_column(rows, i) for i in range(6))
    ref = np.array([_allele(allele, "N") for allele in a2], object)
    alt = np.array([_allele(allele, ".") for allele in a1], object)
    return Loci(chrom, pos.astype(np.int64), ref, alt, ids=ids)


def _column(rows: Sequence[Sequence[str]], i: int) -> np.ndarray:
    return np.array([row[i] for row in rows], object)


def _allele(allele: str, without: str) -> str:
    return without if allele in NO_ALLELE else allele
