"""Engine by name, or the fastest exact one by measurement.

An engine is exact when its probabilities differ from torch's by at most `MOST_PROBABILITY`. That is checked whenever
one is built. The ONNX model is kept in the cache folder, because to export it takes much longer than to load it:

    CACHE/engines/KEY.onnx.kept    KEY is a digest of the bundle and the versions
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from obverse.bundle import Bundle
from obverse.data import Batch
from obverse.decisions import to_probabilities
from obverse.errors import RecipeError, RefusedError
from obverse.files import write_whole
from obverse.models import Classifier
from obverse.registry import ENGINES
from obverse.runtime import cache_folder, choose_once, seconds_of

from .engine import Engine, Needs
from .network import network_onnx
from .onnx_engine import OnnxSession
from .openvino_engine import OpenVinoSession
from .session_engine import Session, SessionEngine
from .torch_engine import TorchEngine

# Packages without which an engine cannot be built.
PACKAGES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino")}
SESSIONS: dict[str, Callable[..., Session]] = {"onnx": OnnxSession, "openvino": OpenVinoSession}
MOST_PROBABILITY = 1e-4
BATCH_SIZE, NUM_ROUNDS = 16, 5
# Another engine than torch must be at least this much faster to be worth another library.
LEAST_GAIN = 1.1
# Files of the cache folder that are kept, the newest ones.
MOST_FILES = 8
DIGEST_BYTES = 32


def installed_engines() -> list[str]:
    """Names of the engines whose packages are installed, torch first."""
    others = [name for name, packages in PACKAGES.items() if all(find_spec(package) for package in packages)]
    return ["torch", *others]


def build_engine(
    name: str, bundle: Bundle, classifier: Classifier, *, device: torch.device, notify: Callable[[str], None]
) -> Engine:
    """The engine of that name; for `auto` the fastest exact one that is installed, measured once on this machine.

    notify: called with one sentence on the choice. RecipeError for an unknown name, and for a GPU with an engine that
    runs on the CPU. RefusedError for an engine that is not exact, UnavailableError without its packages.
    """
    if name not in ENGINES:
        raise RecipeError(f"no engine `{name}`; choose {', '.join(ENGINES)}")
    if device.type != "cpu" and name in SESSIONS:
        raise RecipeError(f"the engine {name} runs on the CPU, and not on {device}; leave out --engine or --device")
    plain = TorchEngine.from_bundle(bundle, classifier, device=device)
    if name == "torch" or (name == "auto" and device.type != "cpu"):
        return plain
    return _fastest(bundle, plain, notify) if name == "auto" else _exact(name, bundle, plain)


def session_engine(name: str, bundle: Bundle, classifier: Classifier, *, num_threads: int) -> SessionEngine:
    """The engine `onnx` or `openvino` of a classifier, not checked. UnavailableError without its packages."""
    data = _cached_onnx(bundle, classifier)
    return SessionEngine(SESSIONS[name](data, num_threads=num_threads), Needs.of(bundle))


def _exact(name: str, bundle: Bundle, plain: TorchEngine) -> SessionEngine:
    """The engine, after it has given torch's answers to generated pictures."""
    engine = session_engine(name, bundle, plain.model, num_threads=torch.get_num_threads())
    batch = noise_batch(bundle, 4)
    given, wanted = (to_probabilities(each.outputs(batch).logits_NK, bundle.kind) for each in (engine, plain))
    difference = float(np.nan_to_num(np.abs(given - wanted), nan=np.inf).max())
    if difference > MOST_PROBABILITY:
        raise RefusedError(f"{engine.session.name} does not give this model's answers on this machine: probabilities "
                           f"differ by up to {difference:.2g}; use --engine torch")  # fmt: skip
    return engine


def _fastest(bundle: Bundle, plain: TorchEngine, notify: Callable[[str], None]) -> Engine:
    """The fastest exact engine. Engines that were measured before on this machine are not measured again."""
    names = installed_engines()
    if len(names) == 1:
        notify("engine: torch; no other is installed (pip install 'obverse[export,openvino]')")
        return plain
    engines: dict[str, Engine] = {"torch": plain}

    def measure() -> dict[str, float]:
        for name in names[1:]:
            with suppress(RefusedError):
                engines[name] = _exact(name, bundle, plain)
        return pictures_per_second(engines, noise_batch(bundle, BATCH_SIZE))

    versions = {package: version(package) for name in names[1:] for package in PACKAGES[name]}
    circumstances = {"model": bundle.digest, "batch_size": BATCH_SIZE, "versions": versions}
    rates = choose_once("engine", circumstances, measure, is_valid=lambda value: "torch" in value)
    chosen = _choice(rates)
    others = ", ".join(f"{name} {_short(rate)}" for name, rate in rates.items() if name != chosen)
    notify(f"engine: {chosen}, {_short(rates[chosen])} samples/s on this machine ({others}; measured once)")
    return engines.get(chosen) or _exact(chosen, bundle, plain)


def _short(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _choice(rates: Mapping[str, float]) -> str:
    """The fastest engine; torch unless another one is clearly faster."""
    fastest = max(rates, key=rates.__getitem__)
    return fastest if rates[fastest] >= LEAST_GAIN * rates["torch"] else "torch"


def pictures_per_second(engines: Mapping[str, Engine], batch: Batch) -> dict[str, float]:
    """Samples per second of each engine: the best of several rounds, in turn, which share all disturbances."""
    seconds = dict.fromkeys(engines, float("inf"))
    for number in range(NUM_ROUNDS + 1):
        for name, engine in engines.items():
            taken = seconds_of(lambda engine=engine: engine.outputs(batch))  # type: ignore[misc]
            seconds[name] = min(seconds[name], taken) if number else seconds[name]  # the first one warms up
    return {name: len(batch) / each for name, each in seconds.items()}


def noise_batch(bundle: Bundle, num: int) -> Batch:
    """Generated samples of a model's input shape; of several views, the first sample lacks one."""
    geometry, num_views = bundle.geometry, len(bundle.views)
    shape = (num, num_views, 3, geometry.canvas_height, geometry.canvas_width)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    present_BV = torch.ones(num, num_views, dtype=torch.bool)
    if num_views > 1:
        present_BV[0, 0] = False
        images[0, 0] = geometry.fill
    columns_BE = torch.zeros(num, len(bundle.columns)) if bundle.columns else None
    return Batch.unlabelled(
        torch.from_numpy(images), present_BV, ids=tuple(map(str, range(num))), columns_BE=columns_BE
    )


def _cached_onnx(bundle: Bundle, classifier: Classifier) -> bytes:
    """The ONNX model of a classifier: from the cache folder, else exported and kept there, behind its SHA-256.

    A model that was not read from a file has no digest and is exported each time.
    """
    versions = [version(package) for package in ("torch", "obverse")]
    key = hashlib.sha256(" ".join([bundle.digest, *versions]).encode()).hexdigest()[:32]
    cache = cache_folder()
    file = cache / "engines" / f"{key}.onnx.kept" if cache and bundle.digest else None
    if file is not None:
        with suppress(OSError):
            kept = file.read_bytes()
            if hashlib.sha256(kept[DIGEST_BYTES:]).digest() == kept[:DIGEST_BYTES]:
                return kept[DIGEST_BYTES:]
    data = network_onnx(bundle, classifier)
    if file is not None:
        with suppress(OSError):  # without a cache it is exported again
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, hashlib.sha256(data).digest() + data)
            _remove_oldest(file.parent)
    return data


def _remove_oldest(folder: Path) -> None:
    files = sorted(folder.glob("*.onnx.kept"), key=lambda file: file.stat().st_mtime)
    for file in files[:-MOST_FILES]:
        file.unlink(missing_ok=True)
