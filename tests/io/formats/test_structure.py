"""STRUCTURE files, read back by adegenet's read.structure and by a parser."""

import pytest
from conftest import simulate
from readers import adegenet, numbers_of
from vcf_maker import Filled

from imputevae_cli.io.formats import structure
from imputevae_cli.io.formats.base import Writing


@pytest.fixture
def imputed():
    return Filled(simulate(9, 12)[0], silent=[2], doubtful=[3])


def test_two_lines_for_each_sample(tmp_path, imputed, caplog):
    caplog.set_level("INFO", "imputevae")
    structure.write(tmp_path / "out.str", imputed, Writing("structure"))
    names, *rows = [line.split("\t") for line in (tmp_path / "out.str").read_text().splitlines()]
    genotypes, calls = imputed.genotypes, imputed.block(0, 12).calls
    assert names == [f"{chrom}_{pos}" for chrom, pos in zip(genotypes.loci.chrom, genotypes.loci.pos, strict=True)]
    assert [row[0] for row in rows[::2]] == [row[0] for row in rows[1::2]] == list(genotypes.samples)
    assert [row[1] for row in rows[::2]] == [str(int(name[-1]) + 1) for name in genotypes.populations]
    for sample, (one, other) in enumerate(zip(rows[::2], rows[1::2], strict=True)):
        for locus, (ref, alt) in enumerate(numbers_of(genotypes)):
            pair = [one[locus + 2], other[locus + 2]]
            call = calls[sample, locus]
            assert pair == (["-9", "-9"] if call < 0 else [str(ref)] * (2 - call) + [str(alt)] * call)
    assert "populations by number: 1 pop0, 2 pop1, 3 pop2" in caplog.text


def test_haploid_samples_have_one_line(tmp_path):
    imputed = Filled(simulate(4, 6, ploidy=1)[0])
    structure.write(tmp_path / "out.str", imputed, Writing("structure"))
    assert len((tmp_path / "out.str").read_text().splitlines()) == 5


def test_adegenet_reads_the_calls(tmp_path, imputed):
    structure.write(tmp_path / "out.str", imputed, Writing("structure"))
    said = adegenet(
        'g <- read.structure("out.str", n.ind=9, n.loc=12, onerowperind=FALSE, col.lab=1, col.pop=2, row.marknames=1,'
        ' NA.char="-9", ask=FALSE, quiet=TRUE); cat(as.character(pop(g)), "\\n");'
        ' write.table(tab(g), sep="\\t", quote=FALSE)',
        tmp_path,
    )
    check_counts(said, imputed)


def check_counts(said, imputed):
    """Counts of alleles in what R printed: populations, a header of LOCUS.ALLELE, a row for each sample."""
    populations, header, *rows = said.splitlines()
    assert len(set(populations.split())) == 3
    table = {row.split("\t")[0]: row.split("\t")[1:] for row in rows}
    genotypes, calls = imputed.genotypes, imputed.block(0, imputed.genotypes.n_loci).calls
    columns = {name: i for i, name in enumerate(header.split("\t"))}
    numbers = numbers_of(genotypes)
    for sample, name in enumerate(genotypes.samples):
        for locus in range(genotypes.n_loci):
            place = f"{genotypes.loci.chrom[locus]}_{genotypes.loci.pos[locus]}"
            found = {
                int(column.rpartition(".")[2]): table[name][i]
                for column, i in columns.items()
                if column.rpartition(".")[0] == place
            }
            call = calls[sample, locus]
            for allele, count in found.items():
                expected = "NA" if call < 0 else str(call if allele == numbers[locus][1] else 2 - call)
                assert count == expected
