"""Who hears a long call: a function, a display, a notebook by itself, and in a script nobody."""

import inspect
import sys
import types

import pytest

import udta
from udta._console._notebook import in_notebook
from udta._console.progress import announce, watched


@watched("steps")
def work(*, progress=None):
    for step in (0, 1, 2):
        announce("steps", step, 2, "note")


@watched("runs")
def work_of_many(*, progress=None):
    announce("runs", 0, 1)
    work()
    announce("runs", 1, 1)


@pytest.fixture
def notebook(monkeypatch):
    """IPython as a kernel has it: what makes tqdm take its widgets."""
    kernel = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: kernel))
    return kernel


def test_a_function_is_called_with_every_phase_also_of_calls_inside():
    heard = []
    work_of_many(progress=lambda *figures: heard.append(figures))
    assert heard[0] == ("runs", 0, 1, "")
    assert [figures[:3] for figures in heard[1:4]] == [("steps", 0, 2), ("steps", 1, 2), ("steps", 2, 2)]


def test_a_script_is_silent_unless_it_asks(capsys):
    work()
    work(progress=False)
    assert capsys.readouterr() == ("", "")
    work(progress=True)
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[-1].startswith("2/2 steps")) == ("", True)


def test_a_notebook_shows_a_bar_by_itself(notebook, monkeypatch):
    bars = []

    class Bar:
        def __init__(self, **options):
            self.options, self.texts = options, []
            self.desc, self.total, self.n = options["desc"], options["total"], 0
            bars.append(self)

        def set_postfix_str(self, text):
            self.texts.append(text)

        def close(self):
            pass

    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=Bar))
    assert in_notebook()
    work()
    work(progress=False)
    [bar] = bars
    assert (bar.n, bar.total, bar.options["bar_format"]) == (2, 2, "{percentage:3.0f}%|{bar}|{postfix}")
    assert bar.texts[-1].startswith("2/2 steps")
    notebook.config = {"TerminalIPythonApp": {}}
    assert not in_notebook()


CALLS = ("evaluate", "export", "extract", "extract_many", "fewshot", "predict", "sweep", "train", "verify")


def test_every_call_that_takes_long_takes_it_in_the_same_way():
    calls = [name for name in udta.__all__ if not inspect.isclass(getattr(udta, name))]
    taking = {name for name in calls if "progress" in inspect.signature(getattr(udta, name)).parameters}
    assert taking >= set(CALLS)
    assert {str(inspect.signature(getattr(udta, name)).parameters["progress"]) for name in taking} == {
        "progress: 'Progress' = None"
    }


def test_a_real_call_is_heard(toy_store, capsys):
    udta.verify(toy_store)
    assert capsys.readouterr().err == ""
    heard = []
    udta.verify(toy_store, progress=lambda *figures: heard.append(figures[:3]))
    assert heard[-1] == ("blocks", len(heard), len(heard))
