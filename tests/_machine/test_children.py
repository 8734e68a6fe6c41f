"""Children end with their parent, are heard whatever they print, and need nothing of the script that started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from queue import Empty

import numpy as np
import pytest

from udta._machine.children import Child, Events, UnsendableError, can_share_memory, mapped, shared_memory
from udta.errors import ImageError

HERE = str(Path(__file__).parent)


def echo(parent, *given):
    print("this is no message")
    os.write(1, b"nor is this")
    parent.send(given)
    for message in parent:
        parent.send(message)


def die(parent):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(parent):
    raise ImageError("a.jpg", "is empty")


def busy(parent):
    parent.end_with_it()
    parent.send("begun")
    while True:
        pass


def fill(parent, memory, shape):
    mapped(memory, shape)[...] = 7
    parent.send("filled")


@pytest.fixture
def started():
    children = []

    def start(*arguments, **options):
        children.append(Child(*arguments, **options))
        return children[-1]

    yield start
    for child in children:
        child.end()


def gone(process):
    """Whether it has ended, soon; who reaps the child of a dead parent may take a while about it."""
    for _ in range(200):
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def test_what_is_printed_is_no_message_and_reaches_nobodys_output(started, capfd):
    child = started(echo, "a", 1)
    assert child.receive() == ("a", 1)
    child.send({"b": 2})
    assert child.receive() == {"b": 2}
    child.end()
    assert capfd.readouterr().out == ""


def test_more_than_a_socket_holds_is_sent_while_the_child_starts(started):
    content = bytes(2**22)
    children = [started(echo, content) for _ in range(2)]
    for child in children:
        assert child.receive() == (content,)


def test_an_error_of_a_child_has_its_class_and_message(started):
    with pytest.raises(ImageError, match=r"^a\.jpg: is empty$"):
        started(fail).receive()


def test_a_child_that_dies_is_told_from_one_that_is_silent(started):
    events = Events([started(echo), started(die)])
    heard = [events.get(20) for _ in range(2)]
    assert sorted(heard, key=str) == [(0, ()), (1, None)]
    with pytest.raises(Empty):
        events.get(0.01)


def test_what_cannot_be_pickled_is_refused_before_anything_is_started():
    with pytest.raises(UnsendableError):
        Child(echo, lambda: None)


def test_a_descriptor_that_is_kept_has_the_same_number_there(started, tmp_path):
    with (tmp_path / "f").open("w") as file:
        child = started(echo, keep=[file.fileno()])
        assert child.receive() == ()
        target = Path(f"/proc/{child.pid}/fd/{file.fileno()}")
        assert not target.parent.exists() or target.readlink() == tmp_path / "f"


@pytest.mark.skipif(not can_share_memory(), reason="needs anonymous files")
def test_memory_is_shared_and_has_no_name(started):
    with shared_memory((2, 3)) as (memory, array):
        child = started(fill, memory, (2, 3), keep=[memory])
    assert child.receive() == "filled"
    np.testing.assert_array_equal(array, 7)


@pytest.mark.parametrize("function", ["echo", "busy"])
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT, None])
def test_children_end_when_their_parent_does_and_say_nothing(function, ending):
    """From a script on standard input, which nobody could import again."""
    script = (
        # A background job of a shell ignores Ctrl-C, and so does whatever it starts.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"import sys, time; sys.path.insert(0, {HERE!r}); import test_children as tests\n"
        f"child = tests.Child(tests.{function}); child.receive(); print(child.pid, flush=True)\n"
        f"if {ending is not None}: time.sleep(60)\n"
        "else: child.end()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as parent:
        parent.stdin.write(script.encode())
        parent.stdin.close()
        child = int(parent.stdout.readline())
        if ending is not None:
            parent.send_signal(ending)
        said = parent.stderr.read().decode()
    assert gone(child)
    if ending != signal.SIGINT:
        assert said.replace("this is no message\n", "").replace("nor is this", "") == ""


def test_ctrl_c_is_for_the_parent_alone(started):
    child = started(echo)
    child.receive()
    os.kill(child.pid, signal.SIGINT)
    child.send(1)
    assert child.receive() == 1
