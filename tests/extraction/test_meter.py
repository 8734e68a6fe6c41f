"""Where the time of an extraction goes."""

import threading
import time

import pytest

from udta.extraction._meter import STEPS, Meter


def test_seconds_of_threads_add_up():
    meter = Meter()

    def work():
        with meter.step("decode"):
            time.sleep(0.02)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.seconds["decode"] >= 0.08
    assert list(meter.seconds) == list(STEPS)


def test_shares_add_up_to_one_and_the_largest_is_named():
    meter = Meter()
    assert set(meter.shares.values()) == {0.0}
    meter.add({"forward": 6.0, "decode": 3.0, "write": 1.0}, images=10, bytes=100)
    assert meter.shares == pytest.approx({"read": 0, "decode": 0.3, "forward": 0.6, "write": 0.1})
    assert str(meter).endswith("read 0% decode 30% forward 60% write 10%; bound by forward")
    assert (meter.images, meter.bytes) == (10, 100)


def test_a_step_that_fails_is_counted():
    meter = Meter()
    with pytest.raises(ValueError, match="x"), meter.step("read"):
        raise ValueError("x")
    assert meter.seconds["read"] > 0


def test_work_counts_for_the_whole_too():
    whole = Meter()
    parts = [Meter(whole), Meter(whole)]
    for part in parts:
        part.add({"decode": 1.0}, images=2, bytes=3)
    with parts[0].step("write"):
        pass
    assert (whole.images, whole.bytes, whole.seconds["decode"]) == (4, 6, 2.0)
    assert whole.seconds["write"] == parts[0].seconds["write"] > 0
    assert parts[1].seconds["write"] == 0


def test_wall_seconds_count_from_the_start():
    meter = Meter()
    time.sleep(0.02)
    before = meter.elapsed
    meter.start()
    assert meter.elapsed < before
