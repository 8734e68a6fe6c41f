"""Packages that have the name of a verb: `udta.backbones("dinov2")` is the verb's function, `udta.backbones.TapForward` is in it.

Python binds a package to its name in the one above it as soon as anything in it is imported, so no function can have that name
there. That a module may be given a class of its own is documented (Python's data model, "Customizing module attribute access").
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.__wrapped__(*arguments, **options)


def callable_as(package: str, function: Callable[..., Any]) -> None:
    """From now on calling the package calls the function, whose signature and documentation it shows as its own.

    Type checkers are told in `udta/__init__.py`.
    """
    module = sys.modules[package]
    module.__class__, module.__doc__ = _CallablePackage, function.__doc__
    module.__wrapped__, module.__signature__ = function, inspect.signature(function)  # type: ignore[attr-defined]
