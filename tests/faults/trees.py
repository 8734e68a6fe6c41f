"""What lies below a folder, as far as two runs of the same must agree: all of it, but for measured times."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

TIMES = ("seconds", "bytes_per_second", "images_per_second", "memory", "machine", "cost")
ANY_CONTENT = ("state.safetensors", "results.parquet", ".report.json")  # hold times in a form that is not worth reading


def snapshot(folder: Path) -> dict[str, bytes | str]:
    """Relative path -> content without times; `folder` for a folder, the target of a link."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_dir():
            found[name] = "folder"
        else:
            found[name] = _timeless(path)
    return found


def differences(expected: dict[str, bytes | str], found: dict[str, bytes | str]) -> list[str]:
    """One sentence for each file that is not as expected."""
    problems = [f"{name} is missing" for name in expected if name not in found]
    problems += [f"{name} is left over" for name in found if name not in expected]
    return problems + [f"{name} differs" for name in expected if name in found and found[name] != expected[name]]


def _timeless(path: Path) -> bytes:
    if path.name.endswith(ANY_CONTENT):
        return b""
    content = path.read_bytes()
    if path.name in ("metrics.json", "few_shot.json"):
        return json.dumps(_without_times(json.loads(content))).encode()
    if path.name in ("history.csv", "results.csv", "few_shot.csv"):
        rows = csv.DictReader(io.StringIO(content.decode()))
        return json.dumps([_without_times(row) for row in rows]).encode()
    return content


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: part for name, part in value.items() if not any(word in name for word in TIMES)}
        return {name: _without_times(part) for name, part in kept.items()}
    return [_without_times(part) for part in value] if isinstance(value, list) else value
