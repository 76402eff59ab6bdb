"""Work that is shared out among threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from imputevae_cli.runtime.threads import share_out


@pytest.mark.parametrize("n_threads", [1, 3])
def test_every_item_is_worked_on_once_and_results_keep_their_order(n_threads):
    done: list[int] = []

    def work(n: int) -> int:
        done.append(n)
        return -n

    with ThreadPoolExecutor(n_threads) as pool:
        assert share_out(pool, work, range(100)) == [-n for n in range(100)]
    assert sorted(done) == list(range(100))


def test_threads_work_side_by_side():
    together = threading.Barrier(2, timeout=60)  # nobody passes it alone
    with ThreadPoolExecutor(2) as pool:
        share_out(pool, lambda _: together.wait(), range(2))
    assert not together.broken


def test_nothing_to_do_is_done():
    with ThreadPoolExecutor(2) as pool:
        assert share_out(pool, pytest.fail, []) == []


def test_what_goes_wrong_is_raised():
    with ThreadPoolExecutor(2) as pool, pytest.raises(ZeroDivisionError):
        share_out(pool, lambda n: 1 // n, [1, 0, 2])
