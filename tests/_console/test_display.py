"""What a user sees while a verb works: phases by name with counts, and a time left that follows the rate of now."""

import io
import sys

import pytest

import udta
from udta._console.display import Pace, ProgressDisplay


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_the_time_left_follows_the_rate_of_the_last_ten_seconds():
    pace = Pace(0.0, 0)
    assert pace.left(40) is None  # nothing is known yet
    pace.add(100.0, 1)
    assert pace.left(40) == 3900.0
    for epoch in range(2, 32):
        pace.add(100.0 + 0.5 * (epoch - 1), epoch)
    assert pace.left(40) == pytest.approx(4.5)


def test_one_step_slower_than_ten_seconds_is_enough_for_a_rate():
    pace = Pace(0.0, 30)  # continued: what an earlier process did was not done now
    pace.add(60.0, 31)
    pace.add(120.0, 32)
    assert pace.left(40) == 480.0


def test_plain_lines_name_the_phase_and_do_not_count_what_went_before(clock, capsys):
    with ProgressDisplay("epochs", clock=clock) as display:
        for views in (0, 100, 200, 300):
            display("views read", views, 300)
            clock.now += 5
        display("epochs", 0, 8)
        for epoch in range(1, 9):
            clock.now += 2
            display("epochs", epoch, 8, "loss 0.5")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "200/300 views read, 20/s, 5 s left"
    assert lines[1] == "300/300 views read, 20/s"
    assert lines[2] == "3/8 epochs, 0.5/s, 10 s left loss 0.5"
    assert lines[-1] == "8/8 epochs, 0.5/s loss 0.5"
    assert len(lines) == 4


def test_phases_inside_a_phase_are_shown_beside_it_and_end_with_it(clock, capsys):
    with ProgressDisplay("runs", clock=clock) as display:
        display("runs", 0, 2)
        display("views read", 10, 90)
        clock.now += 12
        display("epochs", 1, 40)
        display("runs", 1, 2)
        clock.now += 12
        display("runs", 2, 2)
    assert capsys.readouterr().err.splitlines() == [
        "0/2 runs; 10/90 views read; 1/40 epochs",
        "2/2 runs, 0.0833/s",
    ]


def test_a_terminal_gets_a_bar_for_every_phase_and_keeps_that_of_the_unit(clock, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with ProgressDisplay("epochs", clock=clock) as display:
        display("views read", 150, 300)
        clock.now += 1
        display("views read", 300, 300)
        display("epochs", 0, 2)
        for epoch in (1, 2):
            clock.now += 1
            display("epochs", epoch, 2, "loss 0.1")
    shown = terminal.getvalue()
    assert "150/300 views read" in shown
    assert "1/2 epochs, 1/s, 1 s left loss 0.1" in shown
    assert shown.rstrip().endswith("2/2 epochs, 1/s loss 0.1")


def test_training_tells_of_all_that_it_goes_through(toy_store, tmp_path):
    heard = []
    udta.train(toy_store, out=tmp_path / "r", recipe={"epochs": 2}, progress=lambda *figures: heard.append(figures[:3]))
    names = [name for name, _, _ in heard]
    phases = ["views read", "steps of turning directions", "epochs", "epochs for the temperature", "rows evaluated"]
    assert list(dict.fromkeys(names)) == phases
    ends = [(name, total) for name, done, total in heard if done == total]
    assert ends[:3] == [("views read", 36), ("views read", 36), ("steps of turning directions", 5)]
    assert ends[3:5] == [("views read", 36), ("epochs", 2)]
    # Of 18 training images a sixth is left out: one of each class.
    assert ends[5:] == [("epochs for the temperature", 2), ("rows evaluated", 3), ("rows evaluated", 6)]
    udta.train(toy_store, out=tmp_path / "again", adapter="linear", recipe={"epochs": 1})
    assert len(names) == len(heard)  # nobody listens any more


def test_a_sweep_auto_and_few_shots_tell_of_their_phases(toy_store, tmp_path):
    def phases(call, *arguments, **options):
        heard = []
        call(toy_store, *arguments, out=tmp_path / "o", progress=lambda *figures: heard.append(figures[0]), **options)
        return list(dict.fromkeys(heard))

    recipe = {"epochs": 1}
    entries = {"adapters": {"l": {"adapter": "linear", "recipe": recipe}}}
    assert phases(udta.sweep, adapters=entries) == ["views read", "epochs", "rows evaluated"]
    (tmp_path / "o").rename(tmp_path / "sweep")
    options = {"candidates": ["ridge"], "folds": 2}
    assert phases(udta.train, adapter="auto", options=options)[:2] == ["candidates cross-validated", "views read"]
    (tmp_path / "o").rename(tmp_path / "auto")
    few = {"adapter": "linear", "recipe": recipe, "shots": [1], "seeds": 1}
    assert phases(udta.fewshot, **few) == ["runs", "views read", "epochs", "rows evaluated"]
