"""Memory that is freed and taken again."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from udta._machine import memory
from udta._machine.memory import freed_memory_kept, peak_memory

PROGRAM = """
import resource
import numpy as np
from contextlib import nullcontext
from udta._machine.memory import freed_memory_kept
with {context}:
    for _ in range(5):
        np.ones(50_000_000, np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(50_000_000, np.uint8)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.fixture
def calls(monkeypatch):
    """What is set, on a machine without a GPU."""
    done = []
    monkeypatch.setattr(memory, "_mallopt", lambda: lambda parameter, value: done.append((parameter, value)))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    return done


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told to keep memory")
def test_what_is_freed_is_taken_again_without_a_page_fault(monkeypatch):
    for name in ("GLIBC_TUNABLES", *(name for name in memory.os.environ if name.startswith("MALLOC_"))):
        monkeypatch.delenv(name, raising=False)

    def faults(context):
        program = PROGRAM.format(context=context)
        return int(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)

    # 20 arrays of 12,207 pages; 4 kB a page, or 2 MB where the kernel makes huge ones of them.
    assert faults("freed_memory_kept()") < faults("nullcontext()") / 5


def test_the_first_to_ask_sets_it_and_the_last_to_leave_sets_it_back(calls):
    with freed_memory_kept():
        first = list(calls)
        assert first == list(memory._KEEP.items())
        with freed_memory_kept("auto"):
            pass
        assert calls == first

        def other():
            with freed_memory_kept():
                pass

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert calls == first
    assert calls == [*first, *memory._USUAL.items()]


def test_it_is_set_back_after_an_error(calls):
    with pytest.raises(RuntimeError), freed_memory_kept():
        raise RuntimeError
    assert calls[-1] == list(memory._USUAL.items())[-1]


def test_nothing_is_set_for_a_gpu(calls, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    for device in ("auto", "cuda", "cuda:1"):
        with freed_memory_kept(device):
            assert calls == []


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_settings_of_the_user_stand(monkeypatch, name):
    monkeypatch.setenv(name, "2")
    assert memory._mallopt() is None
    with freed_memory_kept():
        assert memory._Kept.count == 0


def test_peaks_are_bytes():
    assert peak_memory() > 10_000_000
    assert peak_memory(children=True) >= peak_memory()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel knows no peak of one program alone")
def test_the_peak_is_that_of_this_program_and_not_of_the_one_that_started_it():
    ballast = np.ones(2**30, np.uint8)
    program = "from udta._machine.memory import peak_memory; print(peak_memory())"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
    assert int(printed) < ballast.nbytes < peak_memory()
