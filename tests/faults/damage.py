"""Damage every file that a verb leaves, in every way, and see what those who read it do.

The promise: the right values or one clear error of ours, never a traceback and never other values without a word. Feature bytes
alone are not compared with their checksum at every read, which would cost what the cache saves: there `verify` has to tell, and
`verify --repair` with another `extract` has to bring the right values back.

Run as a script it prints a table: `python tests/faults/damage.py [--flips N] [SUBJECT...]`.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kill_points import forked

SEED = 20_220_310
DAMAGED = "damaged"  # what the verb `verify` says of a store that is


@dataclass(frozen=True)
class Subject:
    """Some files and those who read them, all in the subject's folder, in a child of their own.

    `prepare` makes them; `verbs` give what they found as text, in this order, so that one that writes comes last; `told` says
    from the findings of all verbs whether somebody was told of damage, so that the others may differ.
    """

    name: str
    prepare: Callable[[], object]
    verbs: Mapping[str, Callable[[], str]]
    told: Callable[[Mapping[str, str]], bool] = lambda _: False


@dataclass
class Outcome:
    """What became of a subject: how many damages, by whom they were noticed or did no harm, and where a promise was broken."""

    name: str
    damages: int = 0
    right: int = 0
    refused: int = 0
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        numbers = f"{self.damages:7} {self.right:6} {self.refused:7} {len(self.broken):6} {self.seconds:7.1f}"
        return f"{self.name:16} {numbers}"


def damages(content: bytes, flips: int, rng: random.Random) -> Iterator[tuple[str, bytes | None]]:
    """What may become of a file; None: it is gone."""
    yield "deleted", None
    if content:
        yield "emptied", b""
        yield "cut in half", content[: len(content) // 2]
        yield "cut by one byte", content[:-1]
        for _ in range(flips):
            offset, bit = rng.randrange(len(content)), rng.randrange(8)
            yield (
                f"bit {bit} of byte {offset} flipped",
                content[:offset] + bytes([content[offset] ^ 1 << bit]) + content[offset + 1 :],
            )


def run(subject: Subject, flips: int) -> Outcome:
    """Try them all."""
    started, rng, outcome = time.monotonic(), random.Random(SEED), Outcome(subject.name)
    base = Path(tempfile.mkdtemp(prefix="damage-"))
    try:
        prepared, folder = base / "prepared", base / "folder"
        prepared.mkdir()
        status, told = forked(lambda _: subject.prepare(), prepared)
        if status:
            raise RuntimeError(f"{subject.name}: {told}")
        shutil.copytree(prepared, folder)
        expected = _findings(subject, folder)
        assert not any(found.startswith(("error", "TRACEBACK")) for found in expected.values()), expected
        for file in sorted(path for path in prepared.rglob("*") if path.is_file()):
            name = file.relative_to(prepared)
            for what, content in damages(file.read_bytes(), flips, rng):
                shutil.rmtree(folder)
                shutil.copytree(prepared, folder)
                if content is None:
                    (folder / name).unlink()
                else:
                    (folder / name).write_bytes(content)
                _judge(outcome, f"{name} {what}", subject, expected, _findings(subject, folder))
        outcome.seconds = round(time.monotonic() - started, 1)
        return outcome
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _judge(
    outcome: Outcome, what: str, subject: Subject, expected: Mapping[str, str], found: Mapping[str, str]
) -> None:
    outcome.damages += 1
    told = subject.told(found)
    problems = [
        f"{verb}: {found[verb]}"
        for verb in subject.verbs
        if found[verb] != expected[verb]
        and not found[verb].startswith("error")
        and not (told and not found[verb].startswith("TRACEBACK"))
    ]
    if problems:
        outcome.broken.append("\n    ".join([what, *problems]))
    elif found == expected:
        outcome.right += 1
    else:
        outcome.refused += 1


def _findings(subject: Subject, folder: Path) -> dict[str, str]:
    """What each verb found, or the error that it ended in."""
    status, told = forked(lambda tell: tell(json.dumps({v: _call(f) for v, f in subject.verbs.items()})), folder)
    return (
        json.loads(told)
        if not status
        else dict.fromkeys(subject.verbs, f"TRACEBACK the child ended in {status} {told}")
    )


def _call(verb: Callable[[], str]) -> str:
    from udta.errors import UdtaError

    try:
        return verb()
    except UdtaError as error:
        return f"error {type(error).__name__}: {error}"
    except BaseException:
        return f"TRACEBACK {traceback.format_exc()[-1500:]}"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("subjects", nargs="*")
    parser.add_argument("--flips", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    from subjects import subjects

    with tempfile.TemporaryDirectory(prefix="damage-inputs-") as inputs:
        every = subjects(Path(inputs), forked)
        if not options.json:
            print(f"{'subject':16} {'damages':>7} {'right':>6} {'refused':>7} {'broken':>6} {'seconds':>7}", flush=True)
        for name in options.subjects or list(every):
            outcome = run(every[name], options.flips)
            print(json.dumps(asdict(outcome)) if options.json else outcome, flush=True)
            for problem in () if options.json else outcome.broken:
                print(f"  {problem}", flush=True)


if __name__ == "__main__":
    main()
