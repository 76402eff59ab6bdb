"""VCF, VCF.gz and BCF: the input's records with the missing calls filled. See `io.vcf_writer`."""

from __future__ import annotations

import gzip
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from imputevae_cli.data.genotypes import GenotypeMatrix, ImputedBlock, ImputedBlocks, VcfSource
from imputevae_cli.errors import OutputError
from imputevae_cli.io.bgzf import BgzfFile
from imputevae_cli.io.formats.base import Writing
from imputevae_cli.io.inputs.vcf_text_of_arrays import Records, header, lines, texts_of_calls
from imputevae_cli.io.vcf_writer import WriteSummary, write_vcf

BLOCK_LOCI = 1000


def check(path: str | Path, genotypes: GenotypeMatrix, how: Writing) -> None:
    """Whatever was read can be written."""


def write(path: str | Path, imputed: ImputedBlocks, how: Writing) -> WriteSummary:
    """See `Writer`. Genotypes that were not read from a file are put into one first."""
    if imputed.genotypes.source is not None:
        return _write(path, imputed, how)
    try:
        with tempfile.TemporaryDirectory(prefix="imputevae-") as folder:
            file = Path(folder) / "genotypes.vcf.gz"
            _write_input(file, imputed.genotypes)
            return _write(path, _InFile.of(imputed, file), how)
    except OSError as error:
        raise OutputError(
            f"{path}: no temporary file can be written ({error.strerror or error}); set TMPDIR to a disk with room"
        ) from error


def _write(path: str | Path, imputed: ImputedBlocks, how: Writing) -> WriteSummary:
    return write_vcf(
        path,
        imputed,
        output_type=how.output_type,
        command=how.command,
        version=how.version,
        threads=how.threads,
        progress=how.progress,
        refines=how.refines,
    )


def _write_input(file: Path, genotypes: GenotypeMatrix) -> None:
    """The calls as they were before the imputation, as a VCF."""
    with BgzfFile(file, 1) as out:
        out.write(header(genotypes.samples, list(dict.fromkeys(genotypes.loci.chrom.tolist()))))
        for start in range(0, genotypes.n_loci, BLOCK_LOCI):
            some = np.arange(start, min(start + BLOCK_LOCI, genotypes.n_loci))
            cells = {"GT": texts_of_calls(genotypes.calls[:, some].T, genotypes.ploidy)}
            out.write(b"".join(lines(Records(genotypes.loci.take(some), cells))))


@dataclass
class _InFile:
    """An imputation whose genotypes have a file to walk."""

    imputed: ImputedBlocks
    genotypes: GenotypeMatrix

    @classmethod
    def of(cls, imputed: ImputedBlocks, file: Path) -> _InFile:
        """file: what `_write_input` wrote."""
        genotypes = imputed.genotypes
        rows, columns = np.arange(genotypes.n_loci), np.arange(genotypes.n_samples)
        source = VcfSource(file, "genotypes", genotypes.n_loci, rows, columns)
        return cls(imputed, replace(genotypes, source=source))

    def block(self, start: int, stop: int) -> ImputedBlock:
        return self.imputed.block(start, stop)


def command_of(path: Path) -> str | None:
    """See `Writer`."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if packed else open(path, "rb") as lines:
        for line in lines:
            if line.startswith(b"##imputevae_command="):
                return line.partition(b"=")[2].rstrip(b"\r\n").decode()
            if line.startswith(b"#CHROM"):
                break
    raise ValueError("not written by imputevae")
