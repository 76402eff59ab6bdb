"""Work that is done beside the main thread's."""

import threading

import pytest

from imputevae_cli.background import background


@pytest.mark.parametrize("threads", [1, 2])
def test_each_piece_is_done_once_and_gives_its_result_as_often_as_it_is_asked(threads):
    done = []
    with background(threads) as begin:
        first, second = begin(lambda: done.append(1) or "first"), begin(lambda: done.append(2) or "second")
        assert [first(), second(), first()] == ["first", "second", "first"]
    assert done == [1, 2]


def test_with_two_threads_the_main_one_goes_on():
    may_end = threading.Event()
    with background(2) as begin:
        result = begin(lambda: may_end.wait(60))
        may_end.set()  # it would wait for ever if the piece were done here first
        assert result()


def test_with_one_thread_nothing_is_done_that_nobody_asks_for():
    with background(1) as begin:
        begin(lambda: pytest.fail("nobody asked"))


@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_piece_raises_is_raised_where_its_result_is_asked(threads):
    with background(threads) as begin:
        result = begin(lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            result()


def test_at_the_end_the_piece_at_work_is_waited_for_and_the_others_are_dropped():
    at_work, may_end, done = threading.Event(), threading.Event(), []

    def work():
        at_work.set()
        may_end.wait(60)
        done.append("first")

    def main():
        with background(2) as begin:
            begin(work)
            begin(lambda: done.append("second"))
            at_work.wait(60)
            threading.Timer(0.05, may_end.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        main()
    assert done == ["first"]
