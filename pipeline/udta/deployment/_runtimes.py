"""What a program may be written as: each format writes a file, and runs one as somebody without udta would."""

from __future__ import annotations

import io
import json
import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch.export import Dim, ExportedProgram

from udta.deployment._program import Program
from udta.errors import BackboneError, ConfigError

Images = UInt8[np.ndarray, "batch height width channels"]
Answers = dict[str, Float[np.ndarray, "batch classes"]]

# The file in the archive of a `.pt2`, and the key in the metadata of an ONNX file.
KEY = "udta"
# One message of protobuf, which an ONNX file is, ends at 2 GiB (https://protobuf.dev/programming-guides/proto-limits/).
_MOST_BYTES = (1 << 31) - 1


class ModelFormat(ABC):
    """A program of another runtime, as the content of a file. Made of one program, for batches of images of one size."""

    suffix: ClassVar[str]

    @classmethod
    @abstractmethod
    def check_installed(cls) -> None:
        """Raises `ConfigError` when something is missing that it needs."""

    @abstractmethod
    def __init__(self, program: Program, size: tuple[int, int, int]) -> None:
        """Trace it for any number of images of this (height, width, channels).

        Raises:
            BackboneError: it cannot be followed, or has an operation that the format has not.
            ConfigError: it is too large.
        """

    @abstractmethod
    def content(self, description: Mapping[str, Any]) -> bytes:
        """The file, with its description."""

    @staticmethod
    @abstractmethod
    def run(content: bytes, images: Images) -> Answers:
        """What a file gives, by output, as somebody without udta would run it."""


class Torch(ModelFormat):
    """`torch`: a `.pt2` of `torch.export`, which `torch.export.load` opens; no pickled class of anybody is in it."""

    suffix = ".pt2"

    @classmethod
    def check_installed(cls) -> None:
        """Nothing is needed."""

    def __init__(self, program: Program, size: tuple[int, int, int]) -> None:
        # Twice: the second time without what nothing needs, such as the head of the backbone.
        self._made = _traced(_pruned(_traced(program, size)), size)

    def content(self, description: Mapping[str, Any]) -> bytes:
        """The description is the extra file `udta`."""
        file = io.BytesIO()
        torch.export.save(self._made, file, extra_files={KEY: json.dumps(description)})
        return file.getvalue()

    @staticmethod
    def run(content: bytes, images: Images) -> Answers:
        """Loaded again."""
        loaded = torch.export.load(io.BytesIO(content)).module()
        with torch.inference_mode():
            return {name: values.numpy() for name, values in loaded(torch.from_numpy(images)).items()}


class Onnx(ModelFormat):
    """`onnx`: one `.onnx` with all weights, for onnxruntime and others."""

    suffix = ".onnx"

    @classmethod
    def check_installed(cls) -> None:
        """onnx, onnxruntime and onnxscript."""
        for name in ("onnx", "onnxruntime", "onnxscript"):
            if find_spec(name) is None:
                raise ConfigError(f"a program for onnx needs {name}: pip install 'udta[onnx]', or choose torch")

    def __init__(self, program: Program, size: tuple[int, int, int]) -> None:
        weights = sum(each.nbytes for each in (*program.parameters(), *program.buffers()))
        if weights > _MOST_BYTES:
            raise ConfigError(f"the program has {weights / 2**30:.1f} GiB of weights, an .onnx at most 2: choose torch")
        traced = _traced(program, size)
        with _quiet():
            try:
                made = torch.onnx.export(
                    traced, dynamo=True, input_names=["images"], output_names=program.outputs, verbose=False
                )
            except Exception as error:  # whatever a converter of one of hundreds of operations raises
                raise _cannot("torch.onnx.export", error) from error
        assert made is not None  # only the older exporter, which writes by itself, gives nothing
        self._made = made

    def content(self, description: Mapping[str, Any]) -> bytes:
        """The description is the metadata `udta`."""
        self._made.model.metadata_props[KEY] = json.dumps(description)
        content: bytes = self._made.model_proto.SerializeToString()
        return content

    @staticmethod
    def run(content: bytes, images: Images) -> Answers:
        """By onnxruntime on the CPU."""
        import onnxruntime

        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(None, {"images": images}), strict=True))


FORMATS: Mapping[str, type[ModelFormat]] = {"onnx": Onnx, "torch": Torch}


def _traced(program: torch.nn.Module, size: tuple[int, int, int]) -> ExportedProgram:
    """Traced, for any number of images. Raises `BackboneError` where it cannot be followed."""
    # Two images: the size of one would be taken for a constant (torch.export specialises 0 and 1).
    images = torch.zeros(2, *size, dtype=torch.uint8)
    with torch.no_grad(), _quiet():
        try:
            return torch.export.export(program, (images,), dynamic_shapes=({0: Dim("batch", min=1)},), strict=False)
        except Exception as error:  # whatever a stranger's forward, and the tracer about it, raise
            raise _cannot("torch.export", error) from error


def _pruned(traced: ExportedProgram) -> torch.nn.Module:
    """The program without parameters that no output depends on."""
    module = traced.module()
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    read = {str(node.target) for node in module.graph.nodes if node.op == "get_attr"}
    for name in [name for name, _ in (*module.named_parameters(), *module.named_buffers()) if name not in read]:
        owner, _, attribute = name.rpartition(".")
        delattr(module.get_submodule(owner), attribute)
    module.recompile()
    return module


def _cannot(what: str, error: Exception) -> BackboneError:
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return BackboneError(
        f"{what} cannot make a program of this backbone and these adapters ({type(error).__name__}: {first})"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporters warn and log about themselves; what matters here is the check of what they made."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
