"""Speed of a model on this machine by engine, threads and batch size, beside the processor's measured limit.

The limit is the rate of a large fp32 matrix product. The share of it that a model reaches says how much a better engine
could gain at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from obverse.bundle import Bundle
from obverse.engines import Engine, TorchEngine, installed_engines, noise_batch, session_engine
from obverse.errors import RecipeError, UnavailableError
from obverse.models import Classifier
from obverse.registry import ENGINES
from obverse.runtime import choose_matmul, fastest_seconds, machine

CPU = torch.device("cpu")
SINGLE = tuple(name for name in ENGINES if name != "auto")
# Side of the matrices: large enough for the full rate, small enough for the second-level cache of no processor.
SIDE = 1536
LEAST_CALLS = 5


@dataclass(frozen=True)
class Row:
    """Speed of one engine with a number of threads and a batch size."""

    engine: str
    threads: int
    batch_size: int

    p50_ms: float
    """Median wall time of a batch."""

    p95_ms: float
    samples_per_second: float
    gflops: float
    """Billions of floating-point operations of the model per second."""

    share_of_limit: float
    """`gflops` as a share of the matrix product's with as many threads."""


@dataclass(frozen=True)
class Bench:
    """Speeds of a model on this machine."""

    processor: str
    instructions: str
    """The widest instruction set that torch uses here, as `AVX512`."""

    gflop_per_sample: float
    limit_gflops: dict[int, float]
    """Number of threads -> billions of operations per second of a large fp32 matrix product."""

    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def measure_speed(
    bundle: Bundle,
    classifier: Classifier,
    *,
    engines: Sequence[str] = (),
    threads: Sequence[int] = (1,),
    batch_sizes: Sequence[int] = (1, 16),
    seconds: float = 2.0,
    progress: Callable[[str], None] = lambda name: None,
) -> Bench:
    """Speeds of a classifier on the CPU. Changes nothing: the number of torch's threads is restored.

    engines: by default all that are installed. seconds: of each row, at least. progress: called with what is measured.
    RecipeError for an unknown engine, UnavailableError for one whose packages are missing.
    """
    names, installed = engines or installed_engines(), installed_engines()
    for name in names:
        if name not in SINGLE:
            raise RecipeError(f"no engine `{name}`; choose {', '.join(SINGLE)}")
        if name not in installed:
            raise UnavailableError(f"the engine {name} is not installed; pip install 'obverse[export,openvino]'")
    facts, before = machine(), torch.get_num_threads()
    flops = _flops(bundle, classifier)
    limits: dict[int, float] = {}
    rows: list[Row] = []
    try:
        for number in threads:
            torch.set_num_threads(number)
            progress(f"matrix product, {number} threads")
            limits[number] = _matmul_gflops()
            for name, engine in _engines(names, bundle, classifier, number):
                for size in batch_sizes:
                    progress(f"{name}, {number} threads, batches of {size}")
                    taken = _call_seconds(engine, bundle, size, seconds)
                    rows.append(_row(name, number, size, taken, flops=flops, limit=limits[number]))
    finally:
        torch.set_num_threads(before)
    capability = torch.backends.cpu.get_cpu_capability()
    return Bench(str(facts["processor"]), capability, flops / 1e9, limits, tuple(rows))


def _engines(
    names: Sequence[str], bundle: Bundle, classifier: Classifier, num_threads: int
) -> Iterator[tuple[str, Engine]]:
    """Each engine with its name. One at a time, so that threads of another that wait busily disturb none."""
    for name in names:
        if name == "torch":
            yield name, TorchEngine.from_bundle(bundle, classifier, device=CPU)
        else:
            yield name, session_engine(name, bundle, classifier, num_threads=num_threads)


def _call_seconds(engine: Engine, bundle: Bundle, batch_size: int, seconds: float) -> list[float]:
    """Wall times of calls, after one that warms up."""
    batch = noise_batch(bundle, batch_size)
    taken: list[float] = []
    engine.outputs(batch)
    while sum(taken) < seconds or len(taken) < LEAST_CALLS:
        start = time.perf_counter()
        engine.outputs(batch)
        taken.append(time.perf_counter() - start)
    return taken


def _row(name: str, threads: int, batch_size: int, taken: Sequence[float], *, flops: int, limit: float) -> Row:
    p50, p95 = np.percentile(taken, [50, 95])
    rate = batch_size * len(taken) / sum(taken)
    gflops = rate * flops / 1e9
    return Row(name, threads, batch_size, 1000 * float(p50), 1000 * float(p95), rate, gflops, gflops / limit)


def _flops(bundle: Bundle, classifier: Classifier) -> int:
    """Floating-point operations of one sample, two for each multiplication with addition."""
    engine = TorchEngine.from_bundle(bundle, classifier, device=CPU)
    with FlopCounterMode(display=False) as counter:
        engine.outputs(noise_batch(bundle, 1))
    return int(counter.get_total_flops())


def _matmul_gflops() -> float:
    """Rate of a large fp32 matrix product, by the faster of torch's two ways to compute it."""
    before, rates = torch.get_float32_matmul_precision(), []
    left, right = (torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    try:
        for setting in {"highest", choose_matmul(CPU)}:
            torch.set_float32_matmul_precision(setting)
            rates.append(2 * SIDE**3 / fastest_seconds(lambda: left @ right) / 1e9)
    finally:
        torch.set_float32_matmul_precision(before)
    return max(rates)
