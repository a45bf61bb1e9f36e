"""Counters of a server in the text format of Prometheus (version 0.0.4)."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
HELP = {
    "obverse_requests_total": "Requests by route, status and code of the refusal.",
    "obverse_request_seconds": "Time from the head of a request to its answer.",
    "obverse_decode_seconds": "Time to decode and fit the pictures of one sample.",
    "obverse_batch_seconds": "Time of one forward pass.",
    "obverse_batch_samples": "Samples in one forward pass.",
    "obverse_map_seconds": "Time to make the maps of one sample.",
    "obverse_queued_samples": "Samples that wait for the model.",
    "obverse_queued_maps": "Samples that wait for their maps.",
    "obverse_requests_in_progress": "Requests that were admitted and are not answered yet.",
    "obverse_received_bytes": "Bytes of requests in memory.",
}
Labels = tuple[tuple[str, str], ...]


class Histogram:
    """Cumulative histogram; not thread-safe by itself."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds, self.counts, self.sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Counters:
    """Thread-safe counts, histograms and gauges."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, Labels], int] = defaultdict(int)
        self._histograms: dict[tuple[str, Labels], Histogram] = {}
        self._gauges: dict[tuple[str, Labels], Callable[[], float]] = {}

    def count(self, name: str, **labels: str) -> None:
        """Add 1 to a count."""
        with self._lock:
            self._counts[name, tuple(labels.items())] += 1

    def observe(self, name: str, value: float, *, bounds: tuple[float, ...] = SECONDS, **labels: str) -> None:
        """Add a value to a histogram."""
        key = name, tuple(labels.items())
        with self._lock:
            if key not in self._histograms:
                self._histograms[key] = Histogram(bounds)
            self._histograms[key].add(value)

    def gauge(self, name: str, read: Callable[[], float], **labels: str) -> None:
        """Register a value that is read when it is asked for."""
        self._gauges[name, tuple(labels.items())] = read

    def text(self) -> str:
        """All values, one a line."""
        with self._lock:
            lines = list(self._lines())
        return "\n".join(lines) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from _described(self._counts, "counter", lambda key: [(key[0], key[1], self._counts[key])])
        yield from _described(self._gauges, "gauge", lambda key: [(key[0], key[1], self._gauges[key]())])
        yield from _described(self._histograms, "histogram", lambda key: _buckets(key, self._histograms[key]))


Rows = list[tuple[str, Labels, float]]


def _described(keys: object, kind: str, rows: Callable[[tuple[str, Labels]], Rows]) -> Iterator[str]:
    last = ""
    for key in sorted(keys):  # type: ignore[call-overload]
        if key[0] != last:
            last = key[0]
            yield f"# HELP {last} {HELP[last]}"
            yield f"# TYPE {last} {kind}"
        for name, labels, value in rows(key):
            text = ",".join(f'{label}="{_escaped(content)}"' for label, content in labels)
            yield f"{name}{{{text}}} {value:g}" if text else f"{name} {value:g}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _buckets(key: tuple[str, Labels], histogram: Histogram) -> Rows:
    name, labels = key
    rows: Rows = []
    total = 0
    for bound, number in zip((*map("{:g}".format, histogram.bounds), "+Inf"), histogram.counts, strict=True):
        total += number
        rows.append((f"{name}_bucket", (*labels, ("le", bound)), total))
    return [*rows, (f"{name}_sum", labels, histogram.sum), (f"{name}_count", labels, total)]
