"""Child processes: Pythons of their own that work for this one, what is said between them, and memory that both have mapped.

A child calls one function of ours with a `Parent`; messages are pickles over a socket pair. It ends when this process does,
however that ends: the kernel then closes our end of the socket pair, and nothing else holds it. Ctrl-C is heard here alone.

Only the start is our own, the rest is `multiprocessing.connection`. Its `Process` under `spawn` imports the main module of the
parent again, so that a script without `if __name__ == "__main__"` would start over in each child. That of loky does not, but both
start resource trackers for names that we have none of: two processes more, which stay until the end, and 85 ms for an empty child
where this one takes 40 (two cores).
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, Pipe, wait
from queue import Empty
from typing import Any, NamedTuple

import numpy as np

from udta import errors
from udta.errors import UdtaError


class UnsendableError(ValueError):
    """What a child shall work on cannot be pickled."""


class _Failure(NamedTuple):
    """An error of a child on its way: by name, since constructors of errors want more than the message that pickle gives them."""

    kind: str
    message: str


class Child:
    """A process that runs `function(parent, *arguments)`, and ends with it. It is not waited for until it is asked for something.

    Args:
        function: of a module that can be imported, with a `Parent` before its own arguments.
        arguments: which can be pickled, of any size.
        keep: open descriptors that it has too, under the same numbers: a file lock (flock(2)) is held until it ends.

    Raises:
        UnsendableError: the arguments cannot be pickled.
        OSError: there can be no more processes.
    """

    def __init__(self, function: Callable[..., None], *arguments: Any, keep: Sequence[int] = ()) -> None:
        try:
            content = pickle.dumps((function, arguments))
        except Exception as error:  # whatever a stranger's module raises
            raise UnsendableError(str(error)) from error
        self._connection, theirs = Pipe()
        with theirs:
            command = [sys.executable, "-c", f"from {__name__} import _main; _main({theirs.fileno()})"]
            # A program that is read from standard input shares it with nobody.
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno(), *keep])
        # By a thread: more than a socket holds (212 kB) waits until the child has imported torch, and with the weights of a
        # backbone in this one children would start one after another.
        self._sender = threading.Thread(target=self._send_work, args=[content], daemon=True)
        self._sender.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def connection(self) -> Connection:
        """To wait for what it says."""
        return self._connection

    def send(self, message: Any) -> None:
        """One message, which can be pickled; that it cannot be sent is found when the answer is missing."""
        self._sender.join()
        with contextlib.suppress(OSError):
            _send(self._connection, message)

    def receive(self) -> Any:
        """The next message, once it is there.

        Raises:
            UdtaError: what the child failed with, of the same class and with the same message.
            EOFError: it has ended.
        """
        try:
            message = self._connection.recv()
        except OSError as error:  # it died with something of ours unread, or in the middle of a message
            raise EOFError from error
        if isinstance(message, _Failure):
            raise _rebuilt(*message)
        return message

    def kill(self) -> None:
        """At once, if it lives."""
        self._process.kill()

    def wait(self) -> int:
        """Until it has ended: its exit status, or minus the signal that ended it."""
        return self._process.wait()

    def end(self) -> None:
        """Kill it if it lives, and let go of all that it needed."""
        self.kill()
        self.wait()
        self._sender.join()
        self._connection.close()

    def _send_work(self, content: bytes) -> None:
        with contextlib.suppress(OSError):  # killed before it has read everything
            # First the path: a module of the user's own lies where the parent found it, "" is the folder that both are in.
            _send(self._connection, ["", *sys.path])
            self._connection.send_bytes(content)


class Events:
    """What any of several children says next; the number of a child is its place among them."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children: dict[Any, tuple[int, Child]] = {
            child.connection: (number, child) for number, child in enumerate(children)
        }
        self._ready: list[Any] = []

    def get(self, timeout: float) -> tuple[int, Any]:
        """The number of a child and what it said, or None when it has ended, however it did.

        Args:
            timeout: how long to wait, in seconds.

        Raises:
            Empty: nobody said anything.
            UdtaError: a child failed with it.
        """
        if not self._ready:
            self._ready = list(wait(list(self._children), timeout))
        if not self._ready:
            raise Empty
        # All that are ready have their turn before anybody is asked again, or one that talks much would hide the others.
        connection = self._ready.pop(0)
        number, child = self._children[connection]
        try:
            return number, child.receive()
        except EOFError:
            del self._children[connection]
            return number, None


class Parent:
    """The other end, in a child. Any thread may send."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._lock = connection, threading.Lock()

    def __iter__(self) -> Iterator[Any]:
        """What it sends, until it ends."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                yield self._connection.recv()

    def send(self, message: Any) -> None:
        """One message, which can be pickled."""
        with self._lock:  # two messages at once would be torn in the socket
            try:
                _send(self._connection, message)
            except OSError:
                os._exit(1)  # nobody is there to work for, nor to read a traceback

    def fail(self, error: UdtaError) -> None:
        """Have `Child.receive` raise it."""
        self.send(_Failure(type(error).__name__, str(error)))

    def end_with_it(self) -> None:
        """From now on this process ends as soon as the parent does, whatever it computes; nothing more is received."""

        def watch() -> None:
            for _ in self:
                pass
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


def can_share_memory() -> bool:
    """Whether there are anonymous files that a child can map; Linux has them."""
    return hasattr(os, "memfd_create")


@contextlib.contextmanager
def shared_memory(shape: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """A descriptor for a child to `keep`, closed afterwards, and the uint8 array that is in it, which stays.

    Not `multiprocessing.shared_memory`: that has a name, which a killed parent leaves, and lies in /dev/shm, of which a container
    of Docker has 64 MB. A memfd (memfd_create(2)) goes with the last process that has mapped it.
    """
    memory = os.memfd_create("udta")
    try:
        os.ftruncate(memory, math.prod(shape))
        yield memory, mapped(memory, shape)
    finally:
        os.close(memory)


def mapped(memory: int, shape: Sequence[int]) -> np.ndarray:
    """The uint8 array of this shape in the memory of a descriptor."""
    return np.frombuffer(mmap.mmap(memory, math.prod(shape)), np.uint8).reshape(shape)


def _send(connection: Connection, message: Any) -> None:
    # Not `Connection.send`: torch teaches its pickler to hand over tensors as names of shared memory, for which the receiver has
    # to ask the sender, and which are gone with it.
    connection.send_bytes(pickle.dumps(message))


def _rebuilt(kind: str, message: str) -> UdtaError:
    """An error of a child, of the same class."""
    found = getattr(errors, kind, UdtaError)
    error: UdtaError = found.__new__(found)
    Exception.__init__(error, message)
    return error


def _main(descriptor: int) -> None:
    """The child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the parent too, which then ends us
    os.dup2(2, 1)  # what is printed here goes where it disturbs nobody who reads the parent's output
    connection = Connection(descriptor)
    parent = Parent(connection)
    try:
        sys.path[:] = connection.recv()
        function, arguments = connection.recv()
    except (EOFError, OSError):
        return  # killed, with its parent, before there was anything to do
    try:
        function(parent, *arguments)
    except UdtaError as error:
        parent.fail(error)
