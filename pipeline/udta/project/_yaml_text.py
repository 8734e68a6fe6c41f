"""params.yaml with one more entry: every comment, and the rest of the file, as it was."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml

from udta.errors import ConfigError


def with_entry(content: bytes, path: Path, table: str, name: str, entry: Mapping[str, Any]) -> bytes:
    """The file with `table.name` = `entry`, and the name at the end of `run.table`.

    Args:
        content: of a file that was checked.
        path: what errors call it.
        table: `backbones`, `datasets` or `adapters`.
        name: of the new entry.
        entry: plain values.

    Raises:
        ConfigError: ruamel.yaml is not installed, or cannot read the file.
    """
    YAML, YAMLError = _ruamel()  # noqa: N806  # classes
    writer = YAML()
    # As the file that `udta init` writes; nothing is wrapped or quoted anew.
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.width, writer.preserve_quotes = 2**20, True
    try:
        document = writer.load(content)
    except YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML ({error})") from error
    for container, key, value in ((document["run"][table], None, name), (document[table], name, entry)):
        tail = _cut_tail(container)
        if key is None:
            container.append(_plain(value))
        else:
            container[_plain(key)] = _plain(value)
        _append_tail(container, tail)
    out = BytesIO()
    writer.dump(document, out)
    return out.getvalue()


def _ruamel() -> tuple[Any, Any]:
    with suppress(ImportError):
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        return YAML, YAMLError
    raise ConfigError("params.yaml with its comments is written by ruamel.yaml: pip install 'udta[project]'")


def _plain(value: Any) -> Any:
    """As both read it: PyYAML has YAML 1.1, where `on` is true and `1e-05` is no number, and DVC 1.2, where it is one."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, Mapping):
        return CommentedMap((_plain(key), _plain(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return CommentedSeq(map(_plain, value))
    if isinstance(value, float) and "e" in repr(value) and "." not in repr(value):
        return YAML().load(repr(value).replace("e", ".0e"))
    if not isinstance(value, str):
        return value
    with suppress(yaml.YAMLError):
        if yaml.safe_load(value) == value:
            return value
    return DoubleQuotedScalarString(value)


def _cut_tail(container: Any) -> str:
    """Take away what stands below the last value, and return it: ruamel has it belong to that value, and so above a new one."""
    node, key = _last(container)
    token = node.ca.items.get(key, [])
    for place in (0, 2):  # of an item of a list, of a value
        if len(token) > place and token[place] is not None:
            beside, line_break, below = token[place].value.partition("\n")
            token[place].value = beside + line_break
            if beside == "":
                token[place] = None
            return str(below)
    return ""


def _append_tail(container: Any, tail: str) -> None:
    """The opposite, at the new last value."""
    if not tail:
        return
    from ruamel.yaml.error import CommentMark
    from ruamel.yaml.tokens import CommentToken

    node, key = _last(container)
    token = CommentToken("\n" + tail, CommentMark(0), None)
    node.ca.items[key] = [token, None, None, None] if isinstance(node, list) else [None, None, token, None]


def _last(container: Any) -> tuple[Any, Any]:
    """The innermost container that ends a block, and the key of its last value, where ruamel keeps what follows."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    key = len(container) - 1 if isinstance(container, list) else next(reversed(container))
    inner = container[key]
    if isinstance(inner, CommentedMap | CommentedSeq) and inner and not inner.fa.flow_style():
        return _last(inner)
    return container, key
