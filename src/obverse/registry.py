"""Registries: what may be chosen by name, and the file that does it.

A loss, a data source or an export format is one line here and one file in its room, which is imported when it is
chosen. The file goes by its name, because recipes are checked and help is printed without torch. How to add one of
them, or a backbone, is in `docs/how-to/extend.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Literal

Head = Literal["classes", "cosine", "corn", "coral", "binary"]
Decode = Literal["mode", "median", "mean"]
"""Which class of a distribution over ordered classes is the answer."""


@dataclass(frozen=True)
class LossKind:
    """A loss: `obverse/losses/FILE.py`, whose `build(spec, counts)` gives what a sample costs under each label.

    head: what the model's last layer gives (`OutputSpec.kind`); `binary` is for label sets. fields: those of `LossSpec`
    that only such losses have. is_ordinal: it needs classes with an order, and spreads its targets to neighbours.
    adjusts: it adds the logarithm of the class frequencies to the logits. decode: its own decision rule, where the
    metric of selection does not decide.
    """

    file: str
    head: Head = "classes"
    fields: tuple[str, ...] = ()
    is_ordinal: bool = False
    adjusts: bool = False
    decode: Decode | None = None


@dataclass(frozen=True)
class ExportKind:
    """A format of exported models: `obverse/export/FILE.py`, whose `write(path, model)` writes one.

    It returns what it checked, in words, or an empty text. default_name: of the file or folder. summary: what it holds.
    reader: how other programs open it. companions: files that are written beside it; `*` stands for its name without
    the ending. is_folder: whether it is a folder, which the writer makes.
    """

    file: str
    default_name: str
    summary: str
    reader: str
    companions: tuple[str, ...] = ()
    is_folder: bool = False


LOSSES: dict[str, LossKind] = {
    "cross-entropy": LossKind("nominal"),
    "focal": LossKind("nominal", fields=("gamma",)),
    "logit-adjustment": LossKind("nominal", fields=("tau", "prior"), adjusts=True),
    "balanced-softmax": LossKind("nominal", fields=("prior",), adjusts=True),
    "ldam": LossKind("nominal", head="cosine", fields=("max_margin",)),
    "sord": LossKind("ordinal", is_ordinal=True),
    "corn": LossKind("ordinal", head="corn", is_ordinal=True),
    # One score for all steps: before it is sharp, inner classes are never the most probable, so that its mode is poor.
    "coral": LossKind("ordinal", head="coral", is_ordinal=True, decode="median"),
    "emd": LossKind("ordinal", is_ordinal=True),
    "binary-cross-entropy": LossKind("binary", head="binary", fields=("pos_weight",)),
}

SOURCES: dict[str, str] = {
    "cifar": "cifar",
    "json-index": "tables.json_index",
    "parquet": "parquet",
    "table": "tables.source",
    "manifest": "tables.source",
    "class-folders": "folders.source",
    "view-folders": "folders.source",
    "object-folders": "folders.source",
    "suffix-views": "folders.source",
    "split-horizontal": "halves",
}
"""`data.layout` -> `obverse/manifest/sources/FILE.py`, whose `SOURCE` reads it. `auto` asks them in this order."""

ENGINES = ("auto", "torch", "onnx", "openvino")
"""Libraries that run a model; `auto` is the fastest exact one that is installed."""

EXPORT_FORMATS: dict[str, ExportKind] = {
    "pth": ExportKind(
        "pth",
        "best_model.pth",
        "tensors and builtins for torch.load(weights_only=True)",
        "torch.load(..., weights_only=True)",
    ),
    "onnx": ExportKind(
        "onnx",
        "model.onnx",
        "one graph from pixels of any size to answers, checked against torch before it is written, and a script",
        "ONNX Runtime",
        ("script.py",),
    ),
    "openvino": ExportKind(
        "openvino",
        "model.xml",
        "the same graph as OpenVINO's .xml and .bin files, checked alike",
        "OpenVINO",
        ("*.bin",),
    ),
    "pt2": ExportKind(
        "programs.pt2",
        "model.pt2",
        "the same as a program of torch.export, checked alike",
        "torch.export.load(...)",
    ),
    "torchscript": ExportKind(
        "programs.torchscript",
        "model.ts",
        "the same as TorchScript, which torch has deprecated, checked alike",
        "torch.jit.load(...)",
    ),
    "triton": ExportKind(
        "triton",
        "triton/classifier",
        "a folder for a model repository of Triton Inference Server, named after the model, with the same graph",
        "Triton Inference Server",
        is_folder=True,
    ),
    "web": ExportKind(
        "web",
        "web",
        "a folder with a page that runs the same graph in the browser; pictures never leave it",
        "any web server, such as `python -m http.server` in that folder,",
        is_folder=True,
    ),
}


def load_file(room: str, file: str) -> ModuleType:
    """The module `file` of a room of the package, imported when it is first needed."""
    return import_module(f"obverse.{room}.{file}")
