"""Files of other kinds that are given as input: which command makes a VCF of each."""

from __future__ import annotations

PGDSPIDER = (
    "PGDSpider2-cli -inputfile {stem}{ending} -inputformat {format} -outputfile {stem}.vcf -outputformat VCF -spid FILE"
)
PANDAS = "read it in Python: GenotypeMatrix.from_dataframe(pandas.read_csv('{stem}{ending}', index_col=0))"
ALIGNMENT = (
    "an alignment without positions; give the VCF of the program that made it (ipyrad: output_formats v; Stacks: --vcf)"
)
PLINK2 = "plink2 {how} --export vcf bgz id-paste=iid --out {stem}"
CALL = "holds reads; call genotypes first, such as with `bcftools mpileup -f ref.fa {stem}{ending} | bcftools call -mv`"
HINTS = {
    ".bim": "is one of three files; give the .bed beside it",
    ".fam": "is one of three files; give the .bed beside it",
    ".ped": "`plink --file {stem} --recode vcf-iid bgz --out {stem}` makes a VCF of it",
    ".map": "`plink --file {stem} --recode vcf-iid bgz --out {stem}` makes a VCF of it and of its .ped",
    ".raw": f"holds counts without positions; go back to the .bed, which is read as it is (or {PANDAS})",
    ".pgen": f"`{PLINK2.format(how='--pfile {stem}', stem='{stem}')}` makes a VCF of it",
    ".bgen": f"`{PLINK2.format(how='--bgen {stem}.bgen ref-first', stem='{stem}')}` makes a VCF of it",
    ".gen": "if it is Oxford's, `"
    + PLINK2.format(how="--gen {stem}.gen ref-first --sample {stem}.sample", stem="{stem}")
    + "` makes a VCF of it; if GENEPOP's, `"
    + PGDSPIDER.replace("{format}", "GENEPOP")
    + "`",
    ".genepop": f"`{PGDSPIDER.replace('{format}', 'GENEPOP')}` makes a VCF of it",
    ".hmp": "`run_pipeline.pl -h {stem}{ending} -export {stem}.vcf -exportType VCF` (TASSEL) makes a VCF of it",
    ".str": f"`{PGDSPIDER.replace('{format}', 'STRUCTURE')}` makes a VCF of it",
    ".stru": f"`{PGDSPIDER.replace('{format}', 'STRUCTURE')}` makes a VCF of it",
    ".phy": f"is {ALIGNMENT}",
    ".phylip": f"is {ALIGNMENT}",
    ".nex": f"is {ALIGNMENT}",
    ".nexus": f"is {ALIGNMENT}",
    ".fa": f"is {ALIGNMENT}",
    ".fasta": f"is {ALIGNMENT}",
    ".geno": "`convertf` (EIGENSOFT) with outputformat PACKEDPED makes a .bed of it, which is read",
    ".012": "was made from a VCF; give that",
    ".haps": "`bcftools convert --hapsample2vcf {stem}.haps,{stem}.sample -Oz -o {stem}.vcf.gz` makes a VCF of it",
    ".csv": PANDAS,
    ".tsv": PANDAS.replace("index_col=0", "sep='\\t', index_col=0"),
    ".bam": CALL.replace("{ending}", ".bam"),
    ".cram": CALL.replace("{ending}", ".cram"),
}
"""By ending, in lower case: what to do. `{stem}` and `{ending}` are those of the file."""


def conversion(name: str) -> str | None:
    """How a file of this name is made a VCF, or None where its ending does not tell."""
    plain = name
    for packed in (".gz", ".txt"):
        plain = plain[: -len(packed)] if plain.lower().endswith(packed) else plain
    for ending, hint in HINTS.items():
        if plain.lower().endswith(ending):
            stem = plain[: -len(ending)]
            return hint.replace("{stem}", stem).replace("{ending}", name[len(stem) :])
    return None
