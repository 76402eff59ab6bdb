"""Writing imputed SNPs as a PHYLIP alignment of IUPAC codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from imputevae_cli.data.alleles import genotypes as genotypes_in_order
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, ImputedBlocks, Loci
from imputevae_cli.errors import ConfigError, OutputError
from imputevae_cli.io.formats.base import Writing
from imputevae_cli.io.outputs import whole_output
from imputevae_cli.log import counted, logger

STRICT_LENGTH = 10
BLOCK_LOCI = 4096
BASES = "ACGT"
HETEROZYGOTES = {"AC": "M", "AG": "R", "AT": "W", "CG": "S", "CT": "Y", "GT": "K"}
_MISSING_STATE = 3


def check(path: str | Path, genotypes: GenotypeMatrix, how: Writing) -> None:
    """See `Writer`."""
    phylip_names(genotypes.samples, how.names)


def write(path: str | Path, imputed: ImputedBlocks, how: Writing) -> None:
    """See `Writer`."""
    write_phylip(path, imputed, names=how.names)


def command_of(path: Path) -> None:
    """See `Writer`. An alignment has no place for it."""
    with open(path, "rb") as lines:
        if len([field for field in next(lines, b"").split() if field.isdigit()]) != 2:
            raise ValueError("not a PHYLIP file")


def write_phylip(path: str | Path, imputed: ImputedBlocks, *, names: str = "relaxed") -> int:
    """Write the SNPs of an imputation, missing calls as N, and return how many there are; other loci are logged.

    names: `relaxed`, with blanks made `_`, or `strict`, cut to 10 characters. Raises OutputError where two names
    become one, where there is no SNP, and where the file cannot be written.
    """
    genotypes = imputed.genotypes
    rows = phylip_names(genotypes.samples, names)
    pairs = base_pairs(genotypes.loci.ref, genotypes.loci.alt)
    is_snp = (pairs >= 0) | _begins_snp(genotypes.loci)
    n_snps, n_records = int(is_snp.sum()), int(genotypes.loci.begins_record.sum())
    if not n_snps:
        raise OutputError(f"{path}: none of the {n_records} loci is a SNP, and PHYLIP holds SNPs alone; write a VCF")
    if n_snps < n_records:
        left_out = counted(n_records - n_snps, "locus is", "loci are")
        logger.warning("%s: %s left out, as PHYLIP holds SNPs alone", path, left_out)
    lines = _alignment(imputed, rows, pairs, is_snp)
    with whole_output(path) as out:
        out.writelines(lines)
    return n_snps


def check_name_style(names: str) -> None:
    """Raise ConfigError where `names` is neither relaxed nor strict."""
    if names not in ("relaxed", "strict"):
        raise ConfigError(f"PHYLIP names cannot be {names!r}; give relaxed or strict")


def phylip_names(samples: Sequence[str], names: str) -> list[str]:
    """Names as the alignment's rows begin, blanks at the end included; raises OutputError where two become one."""
    check_name_style(names)
    rows: dict[str, str] = {}
    for sample in samples:
        row = "_".join(sample.split())
        if names == "strict":
            row = row[:STRICT_LENGTH].ljust(STRICT_LENGTH)
        else:
            row += " "
        if row in rows:
            raise OutputError(
                f"PHYLIP: samples {rows[row]!r} and {sample!r} would both be named {row.strip()!r}; "
                + ("rename one, or use relaxed names" if names == "strict" else "rename one")
            )
        rows[row] = sample
    return list(rows)


def iupac(calls: np.ndarray, ref: np.ndarray, alt: np.ndarray, ploidy: int = 2) -> np.ndarray:
    """IUPAC characters, `U1` (samples, loci), of calls int8 (samples, loci); N where missing or not a SNP.

    ref, alt: object (loci,) of str. A heterozygote's, of any ploidy, is an ambiguity code (Cornish-Bowden 1985).
    """
    return iupac_bytes(calls, base_pairs(ref, alt), ploidy).view("S1").astype("U1")


def base_pairs(ref: np.ndarray, alt: np.ndarray) -> np.ndarray:
    """int16 (loci,): 4 * REF + ALT in the order ACGT, and -1 where either is not one base."""
    code = {base: i for i, base in enumerate(BASES)} | {base.lower(): i for i, base in enumerate(BASES)}
    pairs = (4 * code.get(r, -4) + code.get(a, -16) for r, a in zip(ref, alt, strict=True))
    return np.maximum(np.fromiter(pairs, np.int16, len(ref)), -1)


def iupac_bytes(calls: np.ndarray, pairs: np.ndarray, ploidy: int) -> np.ndarray:
    """ASCII codes, uint8 (samples, loci), of calls at loci of `base_pairs`; N where missing or not a SNP."""
    shifted = (np.maximum(pairs, 0) << 2).astype(np.uint8)
    calls = np.where(calls <= 0, calls, 1 + (calls == ploidy)) if ploidy > 2 else calls
    states = np.where((calls == MISSING) | (pairs < 0), _MISSING_STATE, calls).astype(np.uint8)
    codes = (states | shifted).tobytes().translate(TABLES[min(ploidy, 2)])
    return np.frombuffer(codes, np.uint8).reshape(calls.shape)


def _begins_snp(loci: Loci) -> np.ndarray:
    """bool (loci,): the first locus of each record of several ALT alleles that are one base each."""
    out = np.zeros(len(loci), bool)
    for first in np.flatnonzero(loci.begins_record & np.array(["," in alt for alt in loci.alt], bool)).tolist():
        out[first] = all(len(allele) == 1 and allele.upper() in BASES for allele in loci.alleles_of(first))
    return out


def _of_several(calls: np.ndarray, alleles: list[str], ploidy: int) -> np.ndarray:
    """ASCII codes, uint8 (samples,), of genotypes by their place in VCF's order, -1 missing."""
    table = bytearray()
    for numbers in genotypes_in_order(len(alleles) - 1, ploidy).tolist():
        bases = "".join(sorted({alleles[number].upper() for number in numbers}))
        table += (HETEROZYGOTES.get(bases) or bases[0]).encode()
    return np.frombuffer(bytes(table) + b"N", np.uint8)[calls]


def _table(ploidy: int) -> bytes:
    """256 bytes: the character at `pair << 2 | state`, where state is the count of ALT alleles, or 3 if missing."""
    table = bytearray(b"N" * 256)
    for pair in range(16):
        ref, alt = BASES[pair // 4], BASES[pair % 4]
        heterozygote = HETEROZYGOTES.get("".join(sorted(ref + alt)), ref)
        for state, base in enumerate((ref, alt) if ploidy == 1 else (ref, heterozygote, alt)):
            table[pair << 2 | state] = ord(base)
    return bytes(table)


TABLES = {ploidy: _table(ploidy) for ploidy in (1, 2)}


def _alignment(imputed: ImputedBlocks, rows: list[str], pairs: np.ndarray, is_snp: np.ndarray) -> Iterator[bytes]:
    """The header and a line for each sample."""
    genotypes = imputed.genotypes
    matrix = np.empty((genotypes.n_samples, int(is_snp.sum())), np.uint8)
    done = 0
    for start, stop in genotypes.loci.blocks(BLOCK_LOCI):
        snps = np.flatnonzero(is_snp[start:stop])
        block = imputed.block(start, stop)
        columns = iupac_bytes(block.calls[:, snps], pairs[start:stop][snps], genotypes.ploidy)
        columns = columns.copy() if block.joint else columns  # what was translated cannot be written to
        for joint in block.joint:
            if is_snp[start + joint.first]:
                alleles = genotypes.loci.alleles_of(start + joint.first)
                columns[:, np.searchsorted(snps, joint.first)] = _of_several(joint.calls, alleles, genotypes.ploidy)
        matrix[:, done : done + len(snps)] = columns
        done += len(snps)
    yield f"{len(rows)} {matrix.shape[1]}\n".encode()
    for row, sequence in zip(rows, matrix, strict=True):
        yield row.encode() + sequence.tobytes() + b"\n"
