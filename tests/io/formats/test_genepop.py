"""GENEPOP files, read back by adegenet's read.genepop and by a parser."""

import numpy as np
import pytest
from conftest import simulate
from readers import adegenet, numbers_of
from test_structure import check_counts
from vcf_maker import Filled

from imputevae_cli.io.formats import genepop
from imputevae_cli.io.formats.base import Writing


@pytest.fixture
def imputed():
    return Filled(simulate(9, 12)[0], silent=[2], doubtful=[3])


def test_a_block_for_each_population(tmp_path, imputed):
    genepop.write(tmp_path / "out.gen", imputed, Writing("genepop", "imputevae impute x", "1.2"))
    title, *lines = (tmp_path / "out.gen").read_text().splitlines()
    genotypes, calls = imputed.genotypes, imputed.block(0, 12).calls
    assert title == "imputevae 1.2: imputevae impute x"
    assert len(lines[: lines.index("POP")]) == 12
    found, population = {}, -1
    for line in lines[12:]:
        if line == "POP":
            population += 1
            continue
        name, _, cells = line.partition(" , ")
        found[name] = population, cells.split(" ")
    for sample, name in enumerate(genotypes.samples):
        number, cells = found[name]
        assert f"pop{number}" == genotypes.populations[sample]
        for locus, (ref, alt) in enumerate(numbers_of(genotypes)):
            call = calls[sample, locus]
            assert cells[locus] == ("0000" if call < 0 else f"{ref:02d}" * (2 - call) + f"{alt:02d}" * call)


def test_haploid_calls_are_one_allele(tmp_path):
    imputed = Filled(simulate(4, 6, ploidy=1, popmap=False)[0])
    genepop.write(tmp_path / "out.gen", imputed, Writing("genepop"))
    rows = (tmp_path / "out.gen").read_text().splitlines()[8:]
    assert len(rows) == 4
    assert {len(cell) for row in rows for cell in row.partition(" , ")[2].split()} == {2}


def test_adegenet_reads_the_calls(tmp_path, imputed):
    genepop.write(tmp_path / "out.gen", imputed, Writing("genepop"))
    said = adegenet(
        'g <- read.genepop("out.gen", ncode=2L, quiet=TRUE); cat(as.integer(pop(g)), "\\n");'
        ' write.table(tab(g), sep="\\t", quote=FALSE)',
        tmp_path,
    )
    check_counts(said, imputed)


def test_locus_names_are_unique(tmp_path):
    from dataclasses import replace

    genotypes, _ = simulate(4, 3)
    loci = replace(genotypes.loci, pos=np.array([7, 7, 8]), chrom=np.array(["a, b", "a, b", "c"], object))
    genepop.write(tmp_path / "out.gen", Filled(replace(genotypes, loci=loci)), Writing("genepop"))
    assert (tmp_path / "out.gen").read_text().splitlines()[1:4] == ["a__b_7", "a__b_7_2", "c_8"]
