"""Small VCFs for the tests, and an imputation that fills them with fixed probabilities."""

from __future__ import annotations

import numpy as np

from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, ImputedBlock
from imputevae_cli.data.joint import Joiner

HEADER = """##fileformat=VCFv4.2
##FILTER=<ID=PASS,Description="All filters passed">
##contig=<ID=1,length=100000>
##contig=<ID=2,length=100000>
##INFO=<ID=AC,Number=A,Type=Integer,Description="Allele count">
##INFO=<ID=AN,Number=1,Type=Integer,Description="Allele number">
##INFO=<ID=AF,Number=A,Type=Float,Description="Allele frequency">
##INFO=<ID=NS,Number=1,Type=Integer,Description="Samples with data">
##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Allelic depths">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">
"""


def columns(samples) -> str:
    return "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]) + "\n"


def record(cells, chrom="1", pos=100, ref="A", alt="G", info=".", fmt="GT") -> str:
    """One line; `cells` is a list of sample columns, or them in one string parted by blanks."""
    cells = cells.split() if isinstance(cells, str) else list(cells)
    return "\t".join([chrom, str(pos), ".", ref, alt, ".", "PASS", info, fmt, *cells]) + "\n"


def vcf(*records, samples=("a", "b", "c"), header=HEADER) -> str:
    return header + columns(samples) + "".join(records)


def write(path, text, mode="vcf"):
    """Write `text` to `path` as vcf, gzip, bgzf or bcf, and return the path."""
    import gzip

    import pysam
    import pysam.bcftools

    data = text if isinstance(text, bytes) else text.encode()
    if mode == "vcf":
        path.write_bytes(data)
    elif mode == "gzip":
        path.write_bytes(gzip.compress(data))
    elif mode == "bgzf":
        with pysam.BGZFile(str(path), "w") as file:
            file.write(data)
    else:
        plain = path.with_suffix(".plain.vcf")
        plain.write_bytes(data)
        pysam.bcftools.view("--no-version", "-Ob", "-o", str(path), str(plain), catch_stdout=False)
    return path


class Filled:
    """Fills every missing call with one GP; `silent` samples get nothing, `doubtful` loci go back to missing."""

    def __init__(self, genotypes: GenotypeMatrix, gp=None, silent=(), doubtful=()):
        self.genotypes = genotypes
        self.gp = gp or ([100, 700, 200] if genotypes.ploidy == 2 else [300, 700])
        self.silent, self.doubtful = list(silent), list(doubtful)

    def block(self, start: int, stop: int) -> ImputedBlock:
        calls = self.genotypes.calls[:, start:stop].copy()
        missing = calls == MISSING
        gp = np.zeros((*calls.shape, self.genotypes.n_classes), np.uint16)
        np.put_along_axis(gp, np.maximum(calls, 0)[..., None], 1000, axis=2)
        gp[missing] = self.gp
        imputed = missing.copy()
        imputed[self.silent] = False
        gp[np.ix_(self.silent)] *= ~missing[self.silent][..., None]
        imputed[:, [j - start for j in self.doubtful if start <= j < stop]] = False
        calls[imputed] = int(np.argmax(self.gp))
        block = ImputedBlock(calls, gp, imputed)
        if self.genotypes.loci.begins_record.all():
            return block
        joiner = Joiner(self.genotypes, lambda some, asked, start: some, lambda some, *_: some.argmax(1))
        asked = missing.copy()
        asked[self.silent] = False
        return joiner.joined(block, gp / 1000, asked, start)
