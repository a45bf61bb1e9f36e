"""What is wrong with an installation, and how to mend it. What could crash is tried in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from obverse.errors import printable

if TYPE_CHECKING:
    from obverse.runtime import Choice

IMPORT_SECONDS = 120
OPTIONAL = {"transformers": "hf", "onnxruntime": "export", "openvino": "openvino", "fastapi": "serve", "gradio": "ui",
            "mlflow": "track", "wandb": "track", "optuna": "tune"}  # fmt: skip


@dataclass(frozen=True)
class Check:
    """Result of one check of the installation."""

    mark: str
    """ok, note or error."""

    what: str
    """Finding, as a clause."""

    mend: str = ""
    """What to do; empty if nothing."""


def diagnose(*, forget: bool = False) -> list[Check]:
    """All checks, in the order in which they matter. forget: clear what was chosen by measurement and is remembered."""
    checks = [_python(), *_requirements(), _imports()]
    if checks[-1].mark == "ok":
        checks += [_devices(), *_attention(), *([_forgotten()] if forget else _remembered())]
    elif forget:
        checks.append(Check("error", "choices by measurement were not cleared, because torch cannot be imported",
                            "mend that first"))  # fmt: skip
    return [*checks, _shared_memory(), _disk(), _extras()]


def _python() -> Check:
    return Check("ok", f"Python {platform.python_version()}")


def _requirements() -> list[Check]:
    """Every core requirement, as the installed package declares it."""
    checks = []
    for text in requires("obverse") or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            checks.append(Check("error", f"{requirement.name} is not installed", f"pip install '{text}'"))
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            checks.append(Check("error", f"{requirement.name} {installed} does not fit {requirement.specifier}",
                                f"pip install '{text}'"))  # fmt: skip
    return checks or [Check("ok", "all core packages are installed in fitting versions")]


def _imports() -> Check:
    """Import torchvision and timm elsewhere: with a torch from another registry this fails, or kills the process."""
    code = "import torch, torchvision, timm; print(torch.__version__, torchvision.__version__)"
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=IMPORT_SECONDS)
    except subprocess.TimeoutExpired:
        return Check("error", f"importing torch takes more than {IMPORT_SECONDS} s", "look for a slow or full disk")
    if done.returncode == 0:
        return Check("ok", "torch {}, torchvision {} work together".format(*done.stdout.split()))
    return judge_import_failure(done.stderr)


def judge_import_failure(stderr: str) -> Check:
    """The finding for what the import printed."""
    last = (stderr.strip().splitlines() or ["the process died"])[-1]
    if "torchvision::nms" in stderr or "torchvision" in stderr:
        mend = "install both from one place in one command: pip install --force-reinstall torch torchvision"
        return Check("error", f"torchvision was built for another torch than the one installed ({last})", mend)
    return Check("error", f"torch, torchvision or timm cannot be imported ({last})",
                 "pip install --force-reinstall torch torchvision timm")  # fmt: skip


def _devices() -> Check:
    import torch

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return Check("ok", f"CUDA: {names}")
    if torch.backends.mps.is_available():
        return Check("ok", "Apple GPU (mps)")
    if shutil.which("nvidia-smi") and Path("/dev/nvidiactl").exists():
        return Check("error", "an NVIDIA GPU is here but torch does not see it",
                     "update the driver, or install the torch build for its CUDA version")  # fmt: skip
    return Check("note", "no GPU: training runs on the CPU")


def _attention() -> list[Check]:
    """timm computes attention step by step when its switch says so, and keeps every table of it."""
    if os.environ.get("TIMM_FUSED_ATTN") != "0":
        return []
    return [Check("note", "TIMM_FUSED_ATTN=0: vision transformers of timm need more memory and time",
                  "unset TIMM_FUSED_ATTN")]  # fmt: skip


def _remembered() -> list[Check]:
    """What was chosen by measurement on this machine, one check for each."""
    from obverse.runtime import remembered_choices

    return [Check("ok", f"remembered: {_words(choice)}") for choice in remembered_choices()]


def _words(choice: Choice) -> str:
    where = choice.circumstances
    parts = [str(where.get("processor", "")), f"{where.get('threads')} threads", f"torch {where.get('torch')}"]
    if isinstance(shape := where.get("shape"), list):
        model = where.get("model")
        backbone = model.get("backbone", {}) if isinstance(model, dict) else {}
        parts += [str(backbone.get("name", backbone.get("kind", ""))), "x".join(map(str, shape))]
    value = json.dumps(choice.value).replace('"', "").strip("[]{}")
    return printable(f"{choice.subject} {value} ({', '.join(filter(None, parts))})")


def _forgotten() -> Check:
    from obverse.runtime import cache_folder, forget_choices

    try:
        return Check("ok", f"{forget_choices()} choices by measurement forgotten; the next run measures again")
    except OSError as error:
        return Check("error", f"choices by measurement cannot be cleared ({error.strerror})",
                     f"remove the folder {str(cache_folder())!r}")  # fmt: skip


def _shared_memory() -> Check:
    """DataLoader workers hand over batches through /dev/shm, and die with a bus error when it is full."""
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return Check("ok", "no /dev/shm on this system")
    free = shutil.disk_usage(folder).free
    if free < 256 * 2**20:
        return Check("error", f"/dev/shm has {free / 2**20:.0f} MiB free; worker processes need more",
                     "start the container with --shm-size=2g, or set runtime.num_workers=0")  # fmt: skip
    return Check("ok", f"/dev/shm has {free / 2**30:.1f} GiB free")


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free
    if free < 2**30:
        return Check("error", f"the disk of this folder has {free / 2**20:.0f} MiB free", "free some space")
    return Check("ok", f"the disk of this folder has {free / 2**30:.0f} GiB free")


def _extras() -> Check:
    missing = sorted({extra for module, extra in OPTIONAL.items() if importlib.util.find_spec(module) is None})
    if not missing:
        return Check("ok", "all extras are installed")
    return Check("note", f"extras not installed: {', '.join(missing)}", "when wanted: pip install 'obverse[NAME]'")
