"""The table of dosages and the 012 matrix, read back by pandas, R and a parser."""

import gzip

import numpy as np
import pytest
from conftest import simulate
from readers import program, run
from vcf_maker import Filled

from imputevae_cli.io.formats import dosages, matrix012
from imputevae_cli.io.formats.base import Writing


@pytest.fixture
def imputed():
    return Filled(simulate(6, 10)[0], silent=[2], doubtful=[3])


def expected(imputed):
    """Dosages, with NaN where nothing is known."""
    gp = imputed.block(0, imputed.genotypes.n_loci).gp
    return np.where(gp.any(2), gp @ np.array([0, 1, 2]) / 1000, np.nan)


def test_the_table_is_ds_with_na_where_nothing_is_known(tmp_path, imputed):
    dosages.write(tmp_path / "out.tsv", imputed, Writing("tsv"))
    header, *rows = [line.split("\t") for line in (tmp_path / "out.tsv").read_text().splitlines()]
    loci = imputed.genotypes.loci
    assert header[:2] == ["sample", f"{loci.chrom[0]}:{loci.pos[0]}:{loci.ref[0]}:{loci.alt[0]}"]
    assert [row[0] for row in rows] == list(imputed.genotypes.samples)
    values = np.array([[float(cell.replace("NA", "nan")) for cell in row[1:]] for row in rows])
    assert np.array_equal(values, expected(imputed), equal_nan=True)
    assert "NA" in rows[2]


def test_a_compressed_table_is_the_same_each_time(tmp_path, imputed):
    for name in ("a.tsv", "a.tsv.gz", "b.tsv.gz"):
        dosages.write(tmp_path / name, imputed, Writing("tsv"))
    assert (tmp_path / "a.tsv.gz").read_bytes() == (tmp_path / "b.tsv.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.tsv.gz").read_bytes()) == (tmp_path / "a.tsv").read_bytes()


def test_pandas_reads_the_table(tmp_path, imputed):
    pandas = pytest.importorskip("pandas")
    dosages.write(tmp_path / "out.tsv.gz", imputed, Writing("tsv"))
    table = pandas.read_csv(tmp_path / "out.tsv.gz", sep="\t", index_col=0)
    assert np.array_equal(table.to_numpy(), expected(imputed), equal_nan=True)


def test_r_reads_the_table(tmp_path, imputed):
    rscript = program("Rscript")
    dosages.write(tmp_path / "out.tsv", imputed, Writing("tsv"))
    read = 'd <- read.delim("out.tsv", row.names=1, check.names=FALSE); cat(dim(d), sum(d, na.rm=TRUE), sum(is.na(d)))'
    n_rows, n_columns, total, n_missing = run(rscript, "-e", read, cwd=tmp_path).split()
    wanted = expected(imputed)
    assert (int(n_rows), int(n_columns)) == wanted.shape
    assert float(total) == pytest.approx(np.nansum(wanted))
    assert int(n_missing) == np.isnan(wanted).sum()


def test_the_012_matrix_is_that_of_vcftools(tmp_path, imputed):
    matrix012.write(tmp_path / "out.012", imputed, Writing("012"))
    rows = [line.split("\t") for line in (tmp_path / "out.012").read_text().splitlines()]
    assert [row[0] for row in rows] == [str(number) for number in range(6)]
    assert np.array_equal(np.array(rows)[:, 1:].astype(int), imputed.block(0, 10).calls)
    assert (tmp_path / "out.012.indv").read_text().split() == list(imputed.genotypes.samples)
    first = (tmp_path / "out.012.pos").read_text().splitlines()[0]
    assert first == f"{imputed.genotypes.loci.chrom[0]}\t{imputed.genotypes.loci.pos[0]}"
