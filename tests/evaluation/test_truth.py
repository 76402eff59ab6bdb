import numpy as np
import pytest
from conftest import simulate, vcf_of
from vcf_maker import record, vcf, write

from imputevae_cli import read_vcf
from imputevae_cli.errors import InputError
from imputevae_cli.evaluation.evaluate import evaluate
from imputevae_cli.evaluation.truth import between_neighbours, cells_of_truth, read_guess
from imputevae_cli.scoring import metrics

GIVEN = vcf(
    record("0/0 ./. 1/1", pos=100),
    record("./. ./. 0/1", pos=200),
    record("0/1 0/0 ./.", pos=300),
)
TRUTH = vcf(
    record("0/0 0/1 1/1", pos=100),
    record("1/1 ./. 0/1", pos=200),
    record("0/1 0/0 0/1", pos=300),
)


def scored(tmp_path, given, truth, imputed=None):
    """The genotypes, the cells to score, and what the file says of them."""
    genotypes = read_vcf(write(tmp_path / "in.vcf", given))
    known = read_vcf(write(tmp_path / "truth.vcf", truth))
    one = cells_of_truth(genotypes, known, np.random.default_rng(1))
    if imputed is None:
        return genotypes, one, None
    return genotypes, one, read_guess(write(tmp_path / "out.vcf", imputed), genotypes, one.cells, None)


def test_cells_are_missing_in_the_input_and_known_in_the_truth(tmp_path):
    _, one, _ = scored(tmp_path, GIVEN, TRUTH)
    assert one.cells.samples.tolist() == [1, 0, 2]
    assert one.cells.loci.tolist() == [0, 1, 2]
    assert one.cells.truth.tolist() == [1, 2, 1]


def test_samples_and_loci_in_another_order_and_exchanged_alleles(tmp_path):
    truth = vcf(
        record("1/1 0/0 0/1", pos=300),
        record("0/1 0/0 0/0", pos=200, ref="G", alt="A"),
        record("1/1 0/0 0/1", pos=100),
        samples=("c", "a", "b"),
    )
    imputed = vcf(
        record("1/1:0,0.2,0.8 0/0:1,0,0 0/1:0.3,0.7,0", pos=100, fmt="GT:GP"),
        record("0/1:0,1,0 0/1:0.1,0.6,0.3 1/1:0,0,1", pos=200, ref="G", alt="A", fmt="GT:GP"),
        samples=("c", "a", "b"),
    )
    _, one, said = scored(tmp_path, GIVEN, truth, imputed)
    assert one.cells.truth.tolist() == [1, 2, 2, 2]
    assert said.guess.call.tolist() == [1, 1, 0, -1]
    assert said.guess.gp[:3] == pytest.approx(np.array([[0.3, 0.7, 0], [0.3, 0.6, 0.1], [1, 0, 0]]))
    assert np.isnan(said.guess.gp[3]).all()
    assert said.source == "GP"
    assert said.filled.tolist() == [[0, 1, 1], [1, 0, 0], [2, 1, -1]]
    assert "lacks 1 loci" in said.notes[0]


def test_dosages_stand_in_where_there_are_no_probabilities(tmp_path):
    imputed = vcf(
        record("0/0:0 0/1:1.25 1/1:2", pos=100, fmt="GT:DS"),
        record("1/1:1.9 0/1:1 0/1:1", pos=200, fmt="GT:DS"),
        record("0/1:1 0/0:0 ./.:.", pos=300, fmt="GT:DS"),
    )
    _, _, said = scored(tmp_path, GIVEN, TRUTH, imputed)
    assert said.source == "DS"
    assert not said.guess.has_probabilities
    assert said.guess.doses == pytest.approx([1.25, 1.9, np.nan], nan_ok=True)
    assert said.guess.gp[:2] == pytest.approx(np.array([[0, 0.75, 0.25], [0, 0.1, 0.9]]), abs=1e-6)


def test_weights_between_neighbours_have_the_dosage():
    doses = np.array([0.0, 0.4, 1.0, 1.7, 2.0], np.float32)
    weights = between_neighbours(doses, 3)
    assert weights.sum(1) == pytest.approx(1.0)
    assert metrics.dosage(weights) == pytest.approx(doses)


def test_calls_alone_count_as_certain_and_changed_calls_are_told(tmp_path):
    imputed = TRUTH.replace("0/0\t0/1\t1/1", "0/1\t0/1\t1/1")
    _, _, said = scored(tmp_path, GIVEN, TRUTH, imputed)
    assert said.source == "GT"
    assert said.guess.call.tolist() == [1, 2, 1]
    assert said.guess.gp.tolist() == [[0, 1, 0], [0, 0, 1], [0, 1, 0]]
    assert said.notes == ("The file changed 1 calls that were known in the input.",)


def test_a_file_scored_against_itself_is_right_throughout(tmp_path):
    genotypes, truth = simulate(30, 60)
    given, known = vcf_of(genotypes), vcf_of(genotypes.with_calls(truth))
    genotypes, one, said = scored(tmp_path, given, known, known)
    figures = evaluate(genotypes, [one], [said.guess], seed=1).methods[0].figures
    assert figures["concordance"] == figures["iqs"] == 1.0
    assert figures["skill_r2"] == 1.0
    assert figures["dosage_r2"] == pytest.approx(1.0)
    assert figures["nrd"] == 0.0
    assert np.array_equal(said.filled, truth)


def test_samples_are_matched_as_they_are_then_without_blanks(tmp_path):
    given = GIVEN.replace("\ta\tb\tc\n", "\ta \tb\tc\n")
    _, one, said = scored(tmp_path, given, TRUTH, TRUTH.replace("\tb\tc\n", "\tb\tc \n"))
    assert one.cells.truth.tolist() == said.guess.call.tolist() == [1, 2, 1]


def everywhere(*rows):
    """Loci that all stand at 0:0, as dartR writes them; rows: (ID, cells)."""
    return vcf(*(record(cells, chrom="0", pos=0).replace("\t.\t", f"\t{name}\t", 1) for name, cells in rows))


def test_loci_at_one_position_are_matched_by_id(tmp_path):
    given = everywhere(("t1", "0/0 ./. 1/1"), ("t2", "./. 0/1 0/0"), ("t3", "0/0 0/1 ./."))
    truth = everywhere(("t3", "0/0 0/1 1/1"), ("t1", "0/0 0/1 1/1"), ("t2", "0/0 0/1 0/0"), ("t4", "1/1 1/1 1/1"))
    imputed = everywhere(("t2", "0/1 0/1 0/0"), ("t9", "1/1 1/1 1/1"), ("t1", "0/0 0/1 1/1"))
    genotypes, one, said = scored(tmp_path, given, truth, imputed)
    assert one.cells.truth.tolist() == [1, 0, 2]
    assert said.guess.call.tolist() == [1, 1, -1]
    assert "lacks 1 loci" in said.notes[0]
    assert genotypes.loci.ids.tolist() == ["t1", "t2", "t3"]


def test_loci_that_cannot_be_told_apart_are_not_scored(tmp_path, caplog):
    given = everywhere((".", "0/0 ./. 1/1"), (".", "./. 0/1 0/0"), ("t3", "0/0 0/1 ./."))
    known = everywhere((".", "0/0 0/1 1/1"), (".", "0/0 0/1 0/0"), ("t3", "0/0 0/1 1/1"), ("t4", "0/0 0/1 1/1"))
    _, one, said = scored(tmp_path, given, known, known)
    assert one.cells.loci.tolist() == [2]
    assert said.guess.call.tolist() == [2]
    assert "2 of its loci cannot be told apart" in caplog.text
    with pytest.raises(InputError, match="none of its loci is in"):
        scored(tmp_path, given.replace("t3", "."), known.replace("t3", "."))


def test_a_truth_whose_samples_are_exchanged_is_warned_of(tmp_path, caplog):
    scored(tmp_path, GIVEN, TRUTH)
    assert not caplog.records
    scored(tmp_path, GIVEN, TRUTH.replace("a\tb\tc", "c\tb\ta"))
    assert "60 % of the calls that" in caplog.text
    assert "most in sample c; is it of the same samples?" in caplog.text


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        (TRUTH.replace("a\tb\tc", "x\ty\tz"), "none of its samples is in"),
        (TRUTH.replace("\n1\t", "\n2\t"), "(the first is 2:100 A>G there and 1:100 A>G here)"),
        (GIVEN, "nothing to score"),
        (vcf(record("0 1 1", pos=100), record("0 1 1", pos=200)), "ploidy 1"),
    ],
)
def test_a_truth_of_other_data_is_refused(tmp_path, truth, words):
    with pytest.raises(InputError, match=r"truth\.vcf") as error:
        scored(tmp_path, GIVEN, truth)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("imputed", "words"),
    [
        (TRUTH.replace("a\tb\tc", "a\tb\tz"), "'c'"),
        (TRUTH.replace("\n1\t", "\n2\t"), "none of its loci"),
        (vcf(record("0 1 1", pos=100), record("0 1 1", pos=200)), "ploidy 1"),
        (vcf(record("0/0:0,9 0/1:1,0 1/1:0,1", pos=100, fmt="GT:GP")), "values of GP"),
        (vcf(record("0/0:0,9,20 0/1:10,0,40 1/1:50,9,0", pos=100, fmt="GT:GP")), "Phred"),
    ],
)
def test_an_imputed_file_of_other_data_is_refused(tmp_path, imputed, words):
    with pytest.raises(InputError, match=r"out\.vcf") as error:
        scored(tmp_path, GIVEN, TRUTH, imputed)
    assert words in str(error.value)
