"""Choices by measurement, remembered on this machine so that the same command trains the same model again.

    CACHE/choices/KEY.json    {"subject": "matmul", "value": "medium", "circumstances": {...}}

KEY is a digest of the subject and of everything that the measurement depends on: processor, threads, versions, model
and shapes. Two measurements of nearly equal speeds may end either way, so the first one that is written down counts,
also for a process that has measured at the same time. The folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from obverse.files import write_whole

from .locking import locked

# A choice is a few kilobytes, most of them the description of the model.
MAX_BYTES = 2**20
Facts = Mapping[str, Any]
# Choices whose file could not be written, kept for the life of the process.
_unwritten: dict[tuple[Path | None, str], Any] = {}


@dataclass(frozen=True)
class Choice:
    """A remembered choice. file: its path. subject: what was chosen. circumstances: what the measurement depends on."""

    file: Path
    subject: str
    value: Any
    circumstances: Facts


def cache_folder() -> Path | None:
    """The cache folder: $OBVERSE_CACHE, or obverse in the user's cache directory; None for a user without a home."""
    own, shared = os.environ.get("OBVERSE_CACHE"), os.environ.get("XDG_CACHE_HOME")
    with suppress(RuntimeError):
        return Path(own) if own else (Path(shared) if shared else Path.home() / ".cache") / "obverse"
    return None


def choose_once(
    subject: str, circumstances: Facts, measure: Callable[[], Any], *, is_valid: Callable[[Any], bool]
) -> Any:
    """The remembered value, else the one that `measure` returns, which is remembered from then on.

    circumstances: plain values, beside those of the machine. is_valid: whether a value that is read back can be used.
    """
    everything = _plain({**machine(), **circumstances})
    key = _key(subject, everything)
    folder = _choice_folder()
    if (folder, key) in _unwritten:
        return _unwritten[folder, key]
    remembered = _read(folder / key, subject, everything, is_valid) if folder else None
    if remembered is not None:
        return remembered.value
    # Passed through JSON, so that the first run gets exactly what later runs read back.
    choice = {"subject": subject, "value": _plain(measure()), "circumstances": everything}
    return _first_written(folder, key, choice, is_valid)


def remembered_choices() -> list[Choice]:
    """All that can be read, by subject."""
    folder = _choice_folder()
    choices = []
    for file in sorted(folder.glob("*.json")) if folder else ():
        content = _content(file)
        if content is not None:
            choices.append(Choice(file, content["subject"], content["value"], content["circumstances"]))
    return sorted(choices, key=lambda choice: choice.subject)


def forget_choices() -> int:
    """Remove every remembered choice, damaged ones too; how many there were. OSError where that is not allowed."""
    _unwritten.clear()
    folder = _choice_folder()
    files = [*folder.glob("*.json")] if folder else []
    for file in files:
        file.unlink(missing_ok=True)
    return len(files)


def machine() -> dict[str, Any]:
    """The facts of this machine that every measurement depends on."""
    name, flags = _processor()
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "")  # with which oneDNN can be kept to fewer
    return {
        "processor": name,
        "instructions": f"{torch.backends.cpu.get_cpu_capability()} {flags} {limit}".strip(),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "obverse": version("obverse"),
    }


def device_name(device: torch.device) -> str:
    """The GPU's own name; the kind of any other device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


@cache
def _processor() -> tuple[str, str]:
    """Processor name and a digest of its instruction sets, from /proc/cpuinfo, else from Python's `platform`."""
    lines: dict[str, str] = {}
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            field, _, text = line.partition(":")
            lines.setdefault(field.strip(), text.strip())
    name = lines.get("model name") or platform.processor() or platform.machine()
    flags = lines.get("flags") or lines.get("Features") or ""
    return name, hashlib.sha256(flags.encode()).hexdigest()[:8]


def _choice_folder() -> Path | None:
    folder = cache_folder()
    return folder / "choices" if folder else None


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, sort_keys=True))


def _key(subject: str, circumstances: Facts) -> str:
    text = json.dumps([subject, circumstances], sort_keys=True)
    return f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"


def _content(file: Path) -> dict[str, Any] | None:
    """The content of a choice's file; None where it is missing, damaged or not written by us."""
    try:
        if not file.is_file() or file.stat().st_size > MAX_BYTES:
            return None
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    kinds = {"subject": str, "circumstances": dict}
    if not isinstance(content, dict) or "value" not in content:
        return None
    return content if all(isinstance(content.get(name), kind) for name, kind in kinds.items()) else None


def _read(file: Path, subject: str, circumstances: Facts, is_valid: Callable[[Any], bool]) -> Choice | None:
    content = _content(file)
    if content is None or (content["subject"], content["circumstances"]) != (subject, circumstances):
        return None
    with suppress(KeyError, TypeError, ValueError, AttributeError):  # another value than this version writes
        return Choice(file, subject, content["value"], circumstances) if is_valid(content["value"]) else None
    return None


def _first_written(folder: Path | None, key: str, choice: dict[str, Any], is_valid: Callable[[Any], bool]) -> Any:
    """The value on disk: writes the choice, unless another process has written one in the meantime."""
    value = choice["value"]
    if folder is None:
        return _unwritten.setdefault((folder, key), value)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            written = _read(folder / key, choice["subject"], choice["circumstances"], is_valid)
            if written is not None:
                return written.value
            # Not synced: a lost choice is measured again.
            write_whole(folder / key, (json.dumps(choice, indent=1, sort_keys=True) + "\n").encode(), sync=False)
    except OSError:
        return _unwritten.setdefault((folder, key), value)
    return value
