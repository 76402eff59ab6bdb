"""Options of other tools that users try: what stands for each here."""

from __future__ import annotations

import re
from collections.abc import Iterable

_INPUT = "INPUT is given without an option: imputevae COMMAND cohort.vcf.gz -o OUT"
_OUTPUT = "-o OUT names the output, and its ending the kind"
_THREADS = "--threads N"
_SAMPLES = "--samples A,B or --samples-file FILE keep samples"
_REGION = "--region CHR:A-B, or --regions-file FILE"
_LOCI = "every record of SNPs or indels is modelled; filter the file before, such as with `bcftools view`"
HINTS = {
    **dict.fromkeys(("--vcf", "--gzvcf", "--bcf", "--input", "--in", "--infile", "-i", "-I", "--gt", "-g"), _INPUT),
    **dict.fromkeys(("--bfile", "--bed"), "give the .bed as INPUT: imputevae COMMAND cohort.bed -o OUT"),
    **dict.fromkeys(
        ("--pfile", "--bgen", "--file", "--ped"),
        "give a VCF or a .bed as INPUT; a file of another kind is answered with the command that converts it",
    ),
    **dict.fromkeys(
        ("--out", "--outfile", "--out-prefix", "--prefix", "-O", "--recode", "--make-bed", "--export"), _OUTPUT
    ),
    **dict.fromkeys(("-t", "-j", "-@", "--nthreads", "--thread", "--cores", "--cpus", "--num-threads"), _THREADS),
    **dict.fromkeys(("--keep", "--indv", "--sample", "-s", "-S", "--remove", "--remove-indv"), _SAMPLES),
    **dict.fromkeys(("--chr", "--chrom", "--from-bp", "--to-bp", "-r", "--regions", "--interval"), _REGION),
    **dict.fromkeys(
        ("--maf", "--geno", "--mind", "--max-missing", "--min-alleles", "--max-alleles", "--extract"), _LOCI
    ),
    **dict.fromkeys(("--pop", "--pops", "--populations", "--pop-map", "-M", "-p"), "--popmap FILE"),
    **dict.fromkeys(
        ("--ref", "--reference", "-h1"),
        "`impute --panel FILE` fills from a reference panel",
    ),
    **dict.fromkeys(("--genetic-map", "--gmap", "-m"), "--map FILE"),
    **dict.fromkeys(("--gpu", "--cuda"), "--device cuda"),
    **dict.fromkeys(("--overwrite", "-f"), "--force"),
    **dict.fromkeys(
        ("--epochs", "--batch-size", "--lr", "--learning-rate"),
        "settings of the model are given with --set; --print-config lists them",
    ),
    "--ne": "nothing needs an effective size",
    "--strategy": "--strategy is an option of `evaluate`",
}
"""Option -> what to do instead."""
_BEAGLE = re.compile(r"(gt|ref|out|map|nthreads|chrom|impute|ne|seed|window)=(.*)", re.DOTALL)


def hint(option: str) -> str | None:
    """What stands for an option that is not known; None where nothing is known of it."""
    return HINTS.get(option)


def beagle_argument(words: Iterable[str]) -> str | None:
    """The first word that is an argument as Beagle takes them, such as `gt=cohort.vcf.gz`, or None."""
    previous = ""
    for word in words:
        if _BEAGLE.fullmatch(word) and not previous.startswith("-"):
            return word
        previous = word
    return None
