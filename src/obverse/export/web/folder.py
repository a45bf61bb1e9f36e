"""Folder of the page: files of the page, the graph, its description, and ONNX Runtime for browsers."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from obverse.decisions import VERDICTS
from obverse.errors import OutputError
from obverse.export.graph import Names
from obverse.export.onnx import checked
from obverse.export.source import TrainedModel
from obverse.page import html, script, style
from obverse.staging import staged

from .runtime import LICENSE, runtime_files

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""What the page and its worker may load: nothing from elsewhere, so that nothing can be sent elsewhere either."""


def write(path: Path, model: TrainedModel) -> str:
    """Write the folder of a page; return what was checked, in words.

    Errors: see `checked`; UnavailableError also without the runtime, OutputError when it cannot be written.
    """
    runtime = runtime_files()
    data, words = checked(model)
    names = Names.of(model.bundle, model.classifier)
    described = description(model.run.name if model.run else path.name, model, names)
    files = {
        "index.html": html(policy=POLICY).encode(),
        "model.json": json.dumps(described, ensure_ascii=False, indent=1).encode(),
        "model.onnx": data,
        "ui/style.css": style().encode(),
        "ui/page.js": script("page.js").encode(),
        "ui/backend.js": script("browser.js").encode(),
        "ui/worker.js": script("worker.js").encode(),
        "ui/onnxruntime-web-license.txt": LICENSE.encode(),
        **{f"ui/{name}": content for name, content in runtime.items()},
    }
    try:
        with staged(path) as stage:
            (stage / "ui").mkdir()
            for name, content in files.items():
                (stage / name).write_bytes(content)
    except OSError as error:
        raise OutputError(f"{str(path)!r} cannot be written: {error.strerror}") from error
    return words


def description(name: str, model: TrainedModel, names: Names) -> dict[str, Any]:
    """What the page and its worker know of a model: as a server says it, and how the graph is fed."""
    bundle = model.bundle
    return {
        "name": name,
        "views": ["image"] if bundle.parts else list(bundle.views),
        "columns": [column.name for column in bundle.columns],
        "classes": list(bundle.classes),
        "is_label_set": bundle.kind.is_set,
        "is_ordered": bundle.kind.ordered,
        "is_calibrated": bundle.output.calibration is not None,
        "set_level": bundle.output.sets and bundle.output.sets.level,
        "decisions": VERDICTS,
        "max_samples": 1,
        "max_body_bytes": 2**53,
        "graph": {
            "inputs": list(zip(bundle.views, names.views, strict=True)),
            "columns": [asdict(column) for column in bundle.columns],
            "parts": [asdict(part) for part in bundle.parts],
        },
    }
