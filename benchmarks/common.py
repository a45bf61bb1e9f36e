"""What every benchmark needs: the command, a clock, the machine, and a result file with date and commit."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
# The fastest that a processor has, by the flag of Linux.
INSTRUCTIONS = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX512-bf16",
    "avx512_vnni": "AVX512+VNNI",
    "avx512f": "AVX512",
    "avx2": "AVX2",
}
# oneDNN's names of the same, in ONEDNN_MAX_CPU_ISA; with "AVX2" ATEN_CPU_CAPABILITY=avx2 keeps torch to it, too.
LIMITS = {"AVX2": "AVX2", "AVX512_CORE": "AVX512", "AVX512_CORE_VNNI": "AVX512+VNNI"}
OBVERSE = [sys.executable, "-m", "obverse.cli.main"]


def obverse(*arguments: object) -> float:
    """Run the command; wall seconds."""
    start = time.perf_counter()
    subprocess.run([*OBVERSE, *map(str, arguments)], check=True)
    return time.perf_counter() - start


def processor_seconds(*arguments: object) -> float:
    """Run the command; seconds of processor time, its children's included, which other work changes little."""
    process = subprocess.Popen([*OBVERSE, *map(str, arguments)])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), process.args)
    return usage.ru_utime + usage.ru_stime


def with_settings(*settings: str) -> list[str]:
    """Arguments that change fields of the recipe."""
    return [part for setting in settings for part in ("--set", setting)]


def run_wanted(
    name: str,
    jobs: Iterable[tuple[Any, ...]],
    run_one: Callable[..., dict[str, Any]],
    *,
    command: str,
    notes: str = "",
    only: Callable[[tuple[Any, ...]], bool] = lambda job: True,
    by_hardware: bool = False,
) -> None:
    """Rows `run_one(*job)` of results/NAME.json, two at once, one thread each; those that are there are kept.

    A row's key is its job's parts, joined by "-"; it says its own commit, because a table may grow over several.
    `by_hardware`: a row that was measured on another processor is kept, and does not count as done.
    """
    jobs, rows = list(jobs), finished(name, "key")
    elsewhere = [row for row in rows if by_hardware and row["hardware"] != hardware()]
    done, keys = {row["key"] for row in rows if row not in elsewhere}, set(map(_key, jobs))
    wanted = [job for job in jobs if only(job) and _key(job) not in done]
    with ThreadPoolExecutor(2) as pool:
        for job, row in zip(wanted, pool.map(lambda job: run_one(*job), wanted), strict=True):
            rows.append({"key": _key(job), "hardware": hardware(), **row})
            num_done = sum(kept["key"] in keys for kept in rows if kept not in elsewhere)
            save(name, rows, command=command, notes=f"{num_done} of {len(jobs)} runs. {notes}".strip())


def _key(job: tuple[Any, ...]) -> str:
    return "-".join(map(str, job))


def metrics(run: Path, split: str = "test") -> dict[str, Any]:
    """The measured numbers of a run's split."""
    return json.loads((run / "evaluation" / split / "metrics.json").read_text())


def save(name: str, rows: list[dict[str, Any]], *, command: str, notes: str = "") -> None:
    """Write results/NAME.json; a partial table says so through the number of its rows.

    A row says its own commit and hardware, because a table may grow over several; the file's are of the newest row.
    """
    here = {"commit": head(), "hardware": hardware()}
    for row in rows:  # in place, because the commit may be another one at the next save
        row.update(here | row)
    record = {
        "date": date.today().isoformat(),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--", "src")),
        "hardware": hardware(),
        "command": command,
        "notes": notes,
        "rows": rows,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")


def save_beside(name: str, rows: list[dict[str, Any]], *, command: str, notes: str = "") -> None:
    """`save`, and rows that were measured on other processors are kept."""
    elsewhere = [row for row in finished(name, "hardware") if row["hardware"] != hardware()]
    save(name, elsewhere + rows, command=command, notes=notes)


def finished(name: str, key: str) -> list[dict[str, Any]]:
    """Rows of an earlier, interrupted run of a benchmark, so that it goes on where it stopped."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        return []
    record = json.loads(path.read_text())
    # Older rows do not say their hardware; then it is the file's.
    rows = [{"hardware": record["hardware"], **row} for row in record["rows"]]
    return [row for row in rows if key in row]


def head() -> str:
    """The commit, short."""
    return _git("rev-parse", "--short", "HEAD")


def _git(*arguments: str) -> str:
    folder = Path(__file__).parent
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def hardware() -> str:
    """Cores, processor, and the class of its instructions, which decides about speed; of one that is kept to fewer by
    `LIMITS`, as "AVX2 of AVX512-bf16".
    """
    model, flags = platform.processor() or platform.machine(), set()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        fields = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        fields = {name.strip(): value.strip() for name, value in fields.items()}
        model, flags = fields.get("model name", model), set(fields.get("flags", "").split())
    instructions = next((name for flag, name in INSTRUCTIONS.items() if flag in flags), platform.machine())
    limit = LIMITS.get(os.environ.get("ONEDNN_MAX_CPU_ISA", ""))
    return f"{len(os.sched_getaffinity(0))} cores, {model}, {f'{limit} of ' if limit else ''}{instructions}"
