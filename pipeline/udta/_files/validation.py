"""Options and settings as pydantic models: what their fields share, and the one translation of pydantic's errors into sentences.

The field of a model is the one place where an option has a name, a kind, a default, bounds, choices and a help text. Registries
that hold the choices are asked when a value is checked, not when the model is defined: they import torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Self, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from udta._files.paths import local_path
from udta.errors import ConfigError, did_you_mean

# Powers of 1000, as every size that is printed here.
_BYTES = re.compile(r"(\d+(?:\.\d+)?) ?(B|kB|MB|GB)?", re.ASCII | re.IGNORECASE)
_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
# Kinds of pydantic's errors: a message that is the rest of a sentence that the name of the field begins, and whole sentences.
_PREDICATE, _SENTENCES = "predicate", "sentences"


class Mark(Enum):
    """What holds of an option beside its kind; it stands in the `Annotated` of the field."""

    OF_A_STORE = "each store of several may have its own"
    REPEATED = "each store may have its own, and the command line takes it k times, the k-th for the k-th store"
    PYTHON_ONLY = "the command line does not take it"


class Options(BaseModel):
    """Base of every table of options or settings: unknown names are refused, and none changes after it was checked."""

    # pydantic ignores unknown names by default: `vews: 5` in a file would silently be one view.
    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def checked(cls, given: Mapping[str, Any], where: str = "", noun: str = "option") -> Self:
        """The options of these values.

        Args:
            given: by name.
            where: what each sentence of an error begins with, such as the name of a file.
            noun: what a field is called in them.

        Raises:
            ConfigError: everything that is wrong, with the nearest valid name for one that is unknown.
        """
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            raise ConfigError(sentences(error, cls, where, noun)) from error

    @classmethod
    def among(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Those of some values that have the name of an option, such as of all arguments of a call."""
        return {name: values[name] for name in cls.model_fields if name in values}

    @classmethod
    def marked(cls, *marks: Mark) -> tuple[str, ...]:
        """The names of the options that have one of these marks."""
        return tuple(name for name, field in cls.model_fields.items() if any(mark in field.metadata for mark in marks))


def wrong(predicate: str) -> PydanticCustomError:
    """An error of a field, such as `is 0, but ...`: its name is put before it, however it was reached."""
    # A template of pydantic's has braces for values; a name that a user wrote may have some too.
    return PydanticCustomError(_PREDICATE, "{predicate}", {"predicate": predicate})


@contextmanager
def told_by_pydantic() -> Iterator[None]:
    """In a validator: a `ConfigError` of what is called becomes pydantic's, so that the other fields are looked at too."""
    try:
        yield
    except ConfigError as error:
        raise PydanticCustomError(_SENTENCES, "{text}", {"text": str(error), "sentences": error.problems}) from error


class OneOf:
    """A check: the value is one of the names that a registry holds. `names` is asked whenever it has to be known."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self.names = names

    def __call__(self, value: Any) -> Any:
        """The value; None is what a field without one has."""
        if value is None or value in (valid := list(self.names())):
            return value
        # Whatever was given: a file may hold a number where a name has to be.
        raise wrong(f"is {value!r}: {did_you_mean(str(value), valid)}")


class Listed:
    """The names that a registry holds, for the help alone: who looks one up says what is wrong with it."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self.names = names


def one_of(names: Callable[[], Iterable[str]]) -> BeforeValidator:
    """`OneOf` as it stands in an `Annotated`; before pydantic looks at a `Literal`, whose message has no nearest name."""
    return BeforeValidator(OneOf(names))


def at_least(least: int, why: str) -> AfterValidator:
    """A validator: a number that is not too small; `why` is what the sentence ends with."""

    def check(value: int | None) -> int | None:
        if value is not None and value < least:
            raise wrong(f"is {value}, but {why}")
        return value

    return AfterValidator(check)


def parse_bytes(name: str, value: Any) -> int:
    """A number of bytes, such as `300000`, `300kB` or `1.5MB`. Raises `ConfigError`, which begins with the name."""
    # A bool is an int to Python, and `yes` in a file is one to YAML.
    match = None if isinstance(value, bool) else _BYTES.fullmatch(str(value).strip())
    found = int(Decimal(match[1]) * _UNITS[(match[2] or "B").lower()]) if match else 0
    if found < 1:
        raise ConfigError(f"{name} is {value!r}: give a number of bytes, such as 300000, 300kB or 1.5MB")
    return found


class ByteCount:
    """A check: a number of bytes as `parse_bytes` reads it; what comes out is the number."""

    def __call__(self, value: Any) -> int | None:
        """The number; None is what a field without one has."""
        try:
            return None if value is None else parse_bytes("", value)
        except ConfigError as error:
            raise wrong(str(error).strip()) from error


def byte_count() -> BeforeValidator:
    """`ByteCount` as it stands in an `Annotated`."""
    return BeforeValidator(ByteCount())


def _local(value: Any) -> Any:
    try:
        # Of another kind: pydantic's own message says what it has to be.
        return local_path("", value) if isinstance(value, str | Path) else value
    except ConfigError as error:
        raise wrong(str(error).strip()) from error


LocalPath = Annotated[Path, BeforeValidator(_local)]
"""Where something is written: a URL is refused before it is taken for a folder."""


def sentences(error: ValidationError, model: type[BaseModel], where: str = "", noun: str = "setting") -> list[str]:
    """One for each thing that is wrong, with the nearest valid name for one that is unknown.

    Args:
        error: of validating a document with `model`.
        model: the table that the document was checked with; tables inside of it are found through its fields.
        where: what each sentence begins with, such as the name of a file.
        noun: what a field is called.
    """
    begin = f"{where}: " if where else ""
    return [begin + sentence for detail in error.errors() for sentence in _of_one(detail, model, noun)]


def _of_one(detail: Any, model: type[BaseModel], noun: str) -> list[str]:
    location, message = ".".join(map(str, detail["loc"])), detail["msg"]
    # These name what they are about, often something inside of the value, such as one of several taps.
    if detail["type"] == _SENTENCES:
        return list(detail["ctx"]["sentences"])
    if detail["type"] == _PREDICATE:
        return [f"{location} {message}"]
    if detail["type"] == "extra_forbidden":
        *tables, name = detail["loc"]
        message = f"there is no such {noun}: {_hint(str(name), _table(model, tables))}"
    return [f"{location}: {message}" if location else message]


def _hint(name: str, table: type[BaseModel] | None) -> str:
    return did_you_mean(name, table.model_fields) if table and table.model_fields else "there is none"


def _table(annotation: Any, location: Sequence[int | str]) -> type[BaseModel] | None:
    """The table at a place of a document, by the annotations that lead to it: pydantic's errors give the place alone."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(location[0])) if location else None
        return annotation if not location else _table(field.annotation, location[1:]) if field else None
    arguments = get_args(annotation)
    if get_origin(annotation) in (dict, list):
        return _table(arguments[-1], location[1:])  # a key may be called as a field of what it leads to
    # Of a union and an `Annotated` a place says nothing.
    return next(filter(None, (_table(argument, location) for argument in arguments)), None)
