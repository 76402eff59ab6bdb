import numpy as np
import pytest
from sklearn import metrics as reference

from imputevae_cli.scoring import metrics

TRUTH = np.array([0, 0, 0, 1, 1, 2])
CALL = np.array([0, 0, 1, 1, 0, 2])


@pytest.fixture
def scored():
    """Truth, int (M,), and probabilities, float (M, 3), that are right more often than not."""
    rng = np.random.default_rng(1)
    truth = rng.choice(3, 500, p=[0.6, 0.3, 0.1])
    gp = rng.dirichlet([0.5, 0.5, 0.5], 500)
    gp[np.arange(500), truth] += 0.5
    return truth, gp / gp.sum(1, keepdims=True)


def test_concordance_and_nrd_by_hand():
    assert metrics.concordance(TRUTH, CALL) == pytest.approx(4 / 6)
    assert metrics.non_reference_discordance(TRUTH, CALL) == pytest.approx(2 / 4)


def test_concordance_agrees_with_scikit_learn(scored):
    truth, gp = scored
    assert metrics.concordance(truth, gp.argmax(1)) == pytest.approx(reference.accuracy_score(truth, gp.argmax(1)))


def test_nrd_where_all_is_homozygous_reference():
    assert metrics.non_reference_discordance(np.zeros(4, int), np.zeros(4, int)) == 0.0


def test_a_call_left_missing_is_wrong():
    assert metrics.concordance(np.array([0, 1]), np.array([0, -1])) == 0.5


@pytest.mark.parametrize("averaging", ["macro", "micro", "weighted"])
def test_f1_agrees_with_scikit_learn(scored, averaging):
    truth, gp = scored
    for call in (gp.argmax(1), np.zeros_like(truth), np.roll(truth, 1)):
        expected = reference.f1_score(truth, call, labels=np.unique(truth), average=averaging, zero_division=0)
        assert metrics.f1(truth, call, averaging) == pytest.approx(expected)


@pytest.mark.parametrize("averaging", ["macro", "micro", "weighted"])
def test_f1_leaves_out_a_class_that_is_absent(averaging):
    truth, call = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 2, 1, 0])
    expected = reference.f1_score(truth, call, labels=[0, 1], average=averaging)
    assert metrics.f1(truth, call, averaging) == pytest.approx(expected)


def test_f1_of_rare_genotypes_that_are_never_called():
    truth = np.array([0] * 90 + [1] * 10)
    assert metrics.f1(truth, np.zeros(100, int)) == pytest.approx((2 * 90 / 190 + 0) / 2)


def test_log_loss_agrees_with_scikit_learn(scored):
    truth, gp = scored
    bounded = gp.clip(metrics.LEAST_PROBABILITY, 1)
    bounded /= bounded.sum(1, keepdims=True)
    assert metrics.log_loss(truth, gp) == pytest.approx(reference.log_loss(truth, bounded, labels=[0, 1, 2]))


def test_log_loss_by_hand():
    gp = np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]])
    assert metrics.log_loss(np.array([0, 1]), gp) == pytest.approx(-(np.log(0.5) + np.log(0.8)) / 2)


def test_log_loss_of_certain_errors_is_finite():
    certain = np.array([[1.0, 0.0, 0.0]])
    assert metrics.log_loss(np.array([1]), certain) == pytest.approx(-np.log(1e-3 / 1.002))


def test_dosage():
    gp = np.array([[[0.25, 0.5, 0.25], [0.0, 0.0, 1.0]]], np.float32)
    assert metrics.dosage(gp) == pytest.approx(np.array([[1.0, 2.0]]))
    assert metrics.dosage(np.array([[0.3, 0.7]])) == pytest.approx([0.7])
    assert metrics.dosage(gp).dtype == np.float32


def test_skill_r2_by_hand():
    truth, mean = np.array([0, 1, 2, 1]), np.array([1.0, 1.0, 1.0, 1.0])
    assert metrics.skill_r2(truth, truth.astype(float), mean) == 1.0
    assert metrics.skill_r2(truth, mean, mean) == 0.0
    assert metrics.skill_r2(truth, 2.0 - truth, mean) == -3.0
    assert metrics.skill_r2(truth, np.array([0.5, 1, 2, 1]), mean) == pytest.approx(1 - 0.25 / 2)


def test_skill_r2_agrees_with_scikit_learn_where_the_mean_is_common(scored):
    truth, gp = scored
    dosage, mean = metrics.dosage(gp), np.full(len(truth), truth.mean())
    assert metrics.skill_r2(truth, dosage, mean) == pytest.approx(reference.r2_score(truth, dosage))


def test_skill_r2_without_variation():
    assert np.isnan(metrics.skill_r2(np.ones(3), np.ones(3), np.ones(3)))


def test_calibration_error_by_hand():
    gp = np.array([[0.9, 0.1, 0.0]] * 10)
    truth = np.array([0] * 6 + [1] * 4)
    assert metrics.expected_calibration_error(truth, gp) == pytest.approx(0.3)
    assert metrics.expected_calibration_error(np.array([0] * 9 + [1]), gp) == pytest.approx(0.0)


def test_calibration_error_weighs_bins_by_their_cells():
    gp = np.array([[1.0, 0.0, 0.0]] * 3 + [[0.5, 0.3, 0.2]])
    truth = np.array([0, 0, 1, 0])
    assert metrics.expected_calibration_error(truth, gp) == pytest.approx(3 / 4 * (1 / 3) + 1 / 4 * 0.5)


def test_calibrated_draws_have_little_calibration_error():
    rng = np.random.default_rng(2)
    gp = rng.dirichlet([1.0, 1.0, 1.0], 20_000)
    truth = (rng.random((20_000, 1)) > gp.cumsum(1)).sum(1).clip(0, 2)
    assert metrics.expected_calibration_error(truth, gp) < 0.02


def test_accuracy_gathers_them_all(scored):
    truth, gp = scored
    mean = np.full(len(truth), 0.5)
    got = metrics.accuracy(truth, gp, mean, "weighted")
    call = gp.argmax(1)
    assert got.n == len(truth)
    assert got.concordance == metrics.concordance(truth, call)
    assert got.nrd == metrics.non_reference_discordance(truth, call)
    assert got.f1 == metrics.f1(truth, call, "weighted")
    assert got.skill_r2 == metrics.skill_r2(truth, metrics.dosage(gp), mean)
    assert got.log_loss == metrics.log_loss(truth, gp)
    assert got.ece == metrics.expected_calibration_error(truth, gp)


def test_confidence_curve_counts_what_each_threshold_keeps():
    gp = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.45, 0.55]])
    truth = np.array([0, 1, 1, 1])
    curve = metrics.confidence_curve(truth, gp, least_kept=1)
    by_threshold = {round(point.min_gp, 2): point for point in curve}
    assert (by_threshold[0.0].kept, by_threshold[0.0].accuracy) == (1.0, 0.75)
    assert (by_threshold[0.58].kept, by_threshold[0.58].accuracy) == (0.75, 2 / 3)
    assert (by_threshold[0.7].kept, by_threshold[0.7].accuracy) == (0.5, 1.0)
    assert max(by_threshold) == 0.9


def test_brier_and_hellinger_by_hand():
    truth, gp = np.array([0, 1]), np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
    assert metrics.brier(truth, gp) == pytest.approx((0.25 + 0.0625 * 2) / 2)
    assert metrics.hellinger_score(truth, gp) == pytest.approx((1 - np.sqrt(1 - np.sqrt(0.5)) + 1) / 2)


def test_dosage_r2_is_the_squared_correlation(scored):
    truth, gp = scored
    dosage = metrics.dosage(gp)
    assert metrics.dosage_r2(truth, dosage) == pytest.approx(np.corrcoef(truth, dosage)[0, 1] ** 2)
    assert np.isnan(metrics.dosage_r2(np.ones(5), np.arange(5.0)))
    assert np.isnan(metrics.dosage_r2(np.arange(5.0), np.full(5, 0.3)))


def test_quality_score_is_kappa_for_hard_calls(scored):
    truth, gp = scored
    call = gp.argmax(1)
    one_locus = np.zeros(len(truth), int)
    got = metrics.imputation_quality_score(truth, metrics.certain(call, 3), one_locus)
    assert got == pytest.approx(reference.cohen_kappa_score(truth, call))


def test_quality_score_by_hand_from_posteriors():
    truth = np.array([0, 0, 1, 2])
    gp = np.array([[0.8, 0.2, 0], [1, 0, 0], [0.5, 0.5, 0], [0, 0.4, 0.6]])
    agreed = (0.8 + 1 + 0.5 + 0.6) / 4
    chance = (2 * 2.3 + 1 * 1.1 + 1 * 0.6) / 16
    score, cells = metrics.quality_by_locus(truth, gp, np.full(4, 1), 3)
    assert score[1] == pytest.approx((agreed - chance) / (1 - chance))
    assert cells.tolist() == [0, 4, 0]
    assert np.isnan(score[[0, 2]]).all()


def test_quality_score_weighs_loci_by_their_cells_and_skips_those_of_one_genotype():
    truth, call = np.array([0, 1, 0, 1, 1, 0, 0]), np.array([0, 1, 1, 1, 1, 0, 0])
    locus = np.array([0, 0, 1, 1, 1, 2, 2])
    by_locus = [1.0, reference.cohen_kappa_score(truth[2:5], call[2:5])]
    got = metrics.imputation_quality_score(truth, metrics.certain(call, 3), locus)
    assert got == pytest.approx((2 * by_locus[0] + 3 * by_locus[1]) / 5)


def test_registry_agrees_with_scikit_learn(scored):
    truth, gp = scored
    call, mean = gp.argmax(1), np.full(len(truth), 0.6)
    got = metrics.score_cells(truth, gp, call, mean, np.arange(len(truth)) // 50)
    assert got.keys() == metrics.METRICS.keys()
    assert got["mcc"] == pytest.approx(reference.matthews_corrcoef(truth, call))
    assert got["jaccard"] == pytest.approx(reference.jaccard_score(truth, call, average="macro"))
    assert got["roc_auc"] == pytest.approx(reference.roc_auc_score(truth, gp, multi_class="ovr"))
    assert got["average_precision"] == pytest.approx(reference.average_precision_score(np.eye(3)[truth], gp))
    assert got["brier"] == pytest.approx(np.square(gp - np.eye(3)[truth]).sum(1).mean())
    for name, metric in metrics.METRICS.items():
        right = metrics.score_cells(truth, np.eye(3)[truth], truth, mean, np.arange(len(truth)) // 50)[name]
        assert (right < got[name]) == metric.lower_is_better, name


def test_without_loci_what_goes_by_locus_is_left_out(scored):
    truth, gp = scored
    got = metrics.score_cells(truth, gp, gp.argmax(1), np.full(len(truth), 0.6))
    assert metrics.METRICS.keys() - got.keys() == set(metrics.BY_LOCUS)


def test_cells_left_missing_are_wrong_and_at_the_mean():
    truth, call = np.array([0, 1, 2]), np.array([0, -1, 2])
    gp = np.array([[1, 0, 0], [np.nan] * 3, [0, 0, 1]])
    got = metrics.score_cells(truth, gp, call, np.full(3, 0.5), np.zeros(3, int))
    assert got["concordance"] == pytest.approx(2 / 3)
    assert got["nrd"] == pytest.approx(1 / 2)
    assert got["skill_r2"] == pytest.approx(1 - 0.25 / (0.25 + 0.25 + 2.25))
    assert got["brier"] == 0.0
    assert got["iqs"] == got["iqs_calls"] < 1
