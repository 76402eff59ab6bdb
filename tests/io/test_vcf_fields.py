import numpy as np
import pytest
from vcf_maker import record, vcf, write

from imputevae_cli.io.kernel_fields import INT_END, INT_MISSING
from imputevae_cli.io.vcf_fields import FLOAT_END, RecordFields
from imputevae_cli.io.vcf_records import open_vcf


def fields(tmp_path, cells, fmt):
    path = write(tmp_path / "in.vcf", vcf(record(cells, fmt=fmt), samples=[f"s{i}" for i in range(len(cells))]))
    return RecordFields(next(open_vcf(path, "in.vcf").blocks()), 0)


@pytest.mark.parametrize("last", ["0/0:1,2:3", "0/0"])
def test_values_of_all_samples(tmp_path, last):
    """Whether all cells are whole or not, which is read in different ways."""
    one = fields(tmp_path, ["0/0:10,0:7", "./.:.,.:0", last], "GT:AD:DP")
    known = last != "0/0"
    end = [1, 2] if known else [INT_MISSING, INT_END]
    assert one.values("AD").tolist() == [[10, 0], [INT_MISSING, INT_MISSING], end]
    assert one.values("DP").tolist() == [[7], [0], [3 if known else INT_MISSING]]
    assert one.values("PL") is None
    assert one.keys == ["GT", "AD", "DP"]


def test_cells_of_different_lengths_and_what_is_no_number(tmp_path):
    one = fields(tmp_path, ["0/0:1,2,3", "0/1:.", "1/1:4,,x", "./.:-5,1.5,99999999999"], "GT:PL")
    assert one.values("PL").tolist() == [
        [1, 2, 3], [INT_MISSING, INT_END, INT_END], [4, INT_MISSING, INT_MISSING], [-5, 1, INT_MISSING],
    ]  # fmt: skip


def test_numbers_beyond_all_bounds(tmp_path):
    one = fields(tmp_path, ["0/0:99999999999999999999,1", "0/1:3,9999999999"], "GT:AD")
    assert one.values("AD").tolist() == [[2**31 - 1, 1], [3, 2**31 - 1]]


def test_probabilities_and_logarithms_are_floats(tmp_path):
    values = fields(tmp_path, ["0/0:-0.1,-2.5,-1e3", "0/1:.", "1/1:-4,.,x", "./.:0,-.5,nan"], "GT:GL").values("GL")
    assert values.dtype == np.float32
    assert values[0].tolist() == pytest.approx([-0.1, -2.5, -1000])
    assert np.isnan(values[1, 0])
    assert values.view(np.int32)[1, 1:].tolist() == [FLOAT_END, FLOAT_END]
    assert values[2, 0] == -4
    assert np.isnan(values[2, 1:]).all()
    assert values[3, :2].tolist() == [0, -0.5]
