"""The house in figures: `python -m tests.house` prints them, and exits with 1 when what may not get worse got worse.

What may not get worse: functions with many parameters, circles of imports, imports that run upward, modules at the root.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent / "pipeline"

# From the ground up. A folder may import what stands in a line above its own, and itself; nothing beside it and nothing below.
STOREYS = (
    ("_console",),
    ("errors",),
    ("_files", "_machine"),
    ("fingerprint", "probe", "tasks"),
    ("images", "store"),
    ("adapters", "backbones", "labels", "loader", "summary"),
    ("scoring",),
    ("extraction",),
    ("training",),
    ("diagnosis", "evaluation", "exporting", "prediction"),
    ("deployment", "explanation", "inspection"),
    ("reporting",),
    ("config",),
    ("project",),
    ("__init__",),
    ("cli",),
    ("__main__",),
)
LONG_FUNCTION, MANY_PARAMETERS = 60, 8
# The calls that a user makes have a keyword for everything, so that editors can show it.
PUBLIC_CALLS = {
    "FeatureLoader", "UDTAClassifier", "UDTARegressor", "add_backbone", "add_dataset", "build_backbone", "evaluate", "export",
    "extract", "extract_many", "fewshot", "inspect", "parity", "plan", "predict", "recompute", "report", "sweep", "taps", "train",
    "verify",
    "with_labels",
}  # fmt: skip
MOST = {"many parameters": 0, "circles": 0, "upward imports": 0, "modules at the root": 6}


@dataclass(frozen=True)
class Function:
    """`lines` are those without its docstring, `parameters` those without `self`."""

    where: str
    lines: int
    parameters: int
    is_public_call: bool


class House:
    """The package below a folder, as its sources tell it."""

    def __init__(self, root: Path = ROOT) -> None:
        self.texts = {
            ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file.read_text()
            for file in sorted(root.rglob("*.py"))
        }
        self.trees = {module: ast.parse(text) for module, text in self.texts.items()}

    @cached_property
    def functions(self) -> list[Function]:
        """Every function and method, also those inside of others."""
        return [found for module, tree in self.trees.items() for found in _functions(module, tree, None)]

    @cached_property
    def imports(self) -> dict[str, set[str]]:
        """The modules of the package that each one imports, wherever in it the import stands, but for type checkers alone."""
        return {module: set(self._imported(module, tree)) for module, tree in self.trees.items()}

    @cached_property
    def upward(self) -> list[str]:
        """Imports of what stands beside the importing folder or above it."""
        storey = {name: number for number, names in enumerate(STOREYS) for name in names}
        found = []
        for module, imported in self.imports.items():
            for other in sorted(imported):
                here, there = _folder(module), _folder(other)
                if here != there and storey[there] >= storey[here]:
                    found.append(f"{module} imports {other}")
        return found

    @cached_property
    def circles(self) -> list[list[str]]:
        """Modules that import each other, by way of others or at once."""
        reached = {module: self._reached(module) for module in self.imports}
        groups = {frozenset(other for other in reached[module] if module in reached[other]) for module in reached}
        return [sorted(group) for group in groups if group]

    @cached_property
    def at_the_root(self) -> list[str]:
        """Modules that lie in no folder."""
        return [
            module
            for module in self.texts
            if module == "udta" or (module.count(".") == 1 and not self.is_folder(module))
        ]

    @property
    def many_parameters(self) -> list[Function]:
        """Functions that nobody but ourselves calls and that take too much."""
        return [each for each in self.functions if each.parameters > MANY_PARAMETERS and not each.is_public_call]

    @cached_property
    def comments(self) -> float:
        """The share of lines that hold a comment for people."""
        count = sum(_comment_lines(text) for text in self.texts.values())
        return count / sum(text.count("\n") for text in self.texts.values())

    def __str__(self) -> str:
        lengths = {module: text.count("\n") for module, text in self.texts.items()}
        longest = max(lengths, key=lambda module: lengths[module])
        long = max(self.functions, key=lambda function: function.lines)
        lines = [function.lines for function in self.functions]
        over = [function for function in self.functions if function.lines > LONG_FUNCTION]
        return "\n".join(
            [
                f"{len(lengths)} files, {sum(lengths.values())} lines, {self.comments:.1%} with a comment",
                f"file: median {median(lengths.values()):.0f} lines, longest {lengths[longest]} ({longest})",
                f"function: median {median(lines):.0f} lines, longest {long.lines} ({long.where})",
                *_listed(f"functions above {LONG_FUNCTION} lines", [f"{each.where}: {each.lines}" for each in over]),
                *_listed(
                    f"functions above {MANY_PARAMETERS} parameters, public calls apart",
                    [f"{each.where}: {each.parameters}" for each in self.many_parameters],
                ),
                *_listed("circles", [" <-> ".join(circle) for circle in self.circles]),
                *_listed("upward imports", self.upward),
                f"modules at the root: {len(self.at_the_root)} ({', '.join(self.at_the_root)})",
            ]
        )

    @property
    def worse(self) -> list[str]:
        """What is above its bound."""
        counts = {
            "many parameters": len(self.many_parameters),
            "circles": len(self.circles),
            "upward imports": len(self.upward),
            "modules at the root": len(self.at_the_root),
        }
        return [f"{what}: {count}, at most {MOST[what]}" for what, count in counts.items() if count > MOST[what]]

    def _imported(self, module: str, tree: ast.AST) -> Iterator[str]:
        for node in _run_nodes(tree):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                found = name if name in self.texts else name.rpartition(".")[0]
                if found in self.texts and found != module:
                    yield found

    def _reached(self, module: str) -> set[str]:
        reached: set[str] = set()
        waiting = [*self.imports[module]]
        while waiting:
            other = waiting.pop()
            if other not in reached:
                reached.add(other)
                waiting += self.imports[other]
        return reached

    def is_folder(self, module: str) -> bool:
        """Whether other modules lie in it."""
        return any(other.startswith(f"{module}.") for other in self.texts)


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those below `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from _run_nodes(child)


def _folder(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def _functions(module: str, node: ast.AST, owner: str | None) -> Iterator[Function]:
    for child in ast.iter_child_nodes(node):
        name = getattr(child, "name", None)
        inner = f"{owner}.{name}" if owner and name else name or owner
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [each.arg for each in (*child.args.posonlyargs, *child.args.args, *child.args.kwonlyargs)]
            lines = (child.end_lineno or child.lineno) - child.lineno + 1
            if ast.get_docstring(child):
                docstring = child.body[0]
                lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
            own = len([each for each in arguments if each not in ("self", "cls")])
            public = (owner if child.name == "__init__" else child.name) in PUBLIC_CALLS
            yield Function(f"{module}:{inner}", lines, own, public)
        yield from _functions(module, child, inner if name else owner)


def _comment_lines(text: str) -> int:
    """Marks for tools (`noqa`, `type:`) that say nothing more are no comments."""
    found = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        words = token.string.lstrip("# ")
        if token.type == tokenize.COMMENT and not (words.startswith(("noqa", "type:", "fmt:")) and "#" not in words):
            found.add(token.start[0])
    return len(found)


def _listed(what: str, items: list[str]) -> list[str]:
    return [f"{what}: {len(items)}", *(f"  {item}" for item in items)]


if __name__ == "__main__":
    house = House()
    print(house)
    sys.exit("\n".join(["worse than it was:", *house.worse]) if house.worse else 0)
