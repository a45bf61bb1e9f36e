"""Load on `obverse serve`, from a client on the same cores: answers, latency, overload, memory, batching.

    python benchmarks/serve.py                 # 1,500 requests at 1, 8, 32 and 128 clients, 30 s of overload ...
    python benchmarks/serve.py --network small --requests 10000

The network is ResNet-18 at 224x224 with weights of one epoch, or the small convnet of `auto`, with which 10,000
requests take no hour. Pictures are JPEGs of 512x384. The rows of the other network stay.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import random
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from common import OBVERSE, finished, obverse, save, with_settings
from PIL import Image, ImageFilter
from serve_client import Client, Reply

from obverse.inference import load

NETWORKS = {
    "resnet18": (
        "model.backbone={kind: timm, name: resnet18, pretrained: none}",
        "data.size={height: 224, width: 224}",
    ),
    "small": (),
}
COMMON = ("training.epochs=1", "evaluation.maps=0", "runtime.num_workers=0")
NUM_PICTURES = 32
CLIENTS = (1, 8, 32, 128)


def make_model(folder: Path, network: str) -> Path:
    """A run on generated pictures."""
    obverse("sample", "shapes", folder / "shapes")
    obverse("train", folder / "shapes", "--run", folder / network, *with_settings(*NETWORKS[network], *COMMON))
    return folder / network


def make_pictures() -> list[bytes]:
    """JPEGs of smooth noise, 512x384, about 30 kB each."""
    pictures = []
    for seed in range(NUM_PICTURES):
        noise = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        image = Image.fromarray(noise).resize((512, 384), Image.Resampling.BICUBIC).filter(ImageFilter.SHARPEN)
        data = io.BytesIO()
        image.save(data, "JPEG", quality=90)
        pictures.append(data.getvalue())
    return pictures


class Server:
    """`obverse serve` as a process."""

    def __init__(self, model: Path, *options: object) -> None:
        command = [*OBVERSE, "serve", f"m={model}", "--port", "0", *map(str, options)]
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        assert self.process.wait(30) == 0

    def resident_bytes(self) -> int:
        """Memory of the server, without its decoders."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


@dataclass
class Expected:
    """Pictures with the answers that the command line gives."""

    pictures: list[bytes]
    probabilities: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0))

    def judge(self, number: int, reply: Reply) -> str:
        """`right`, `wrong` or `swapped` of an answer, else the status."""
        if reply.status != 200:
            return str(reply.status)
        row = json.loads(reply.body)["predictions"][0]
        top = {each["label"]: each["probability"] for each in row["top"]}
        distances = np.abs(self.probabilities - np.array([top[name] for name in sorted(top)])).max(1)
        if row["id"] != f"{number}.jpg" or distances.argmin() != number:
            return "swapped"
        return "right" if distances[number] < 1e-4 else "wrong"


def expect(model: Path, pictures: list[bytes]) -> Expected:
    """The answers of the predictor, one picture at a time."""
    predictor = load(model)
    rows = [dict(predictor.predict(picture, top_k=len(predictor.classes))[0].top) for picture in pictures]
    return Expected(pictures, np.array([[row[name] for name in sorted(row)] for row in rows]))


async def closed_loop(port: int, expected: Expected, num_clients: int, num_requests: int) -> dict[str, Any]:
    """Clients that each ask again as soon as they are answered."""
    verdicts: Counter[str] = Counter()
    seconds: list[float] = []
    left = iter(range(num_requests))

    async def work() -> None:
        async with Client(port) as client:
            for n in left:
                number = n % NUM_PICTURES
                reply = await client.ask(expected.pictures[number], f"{number}.jpg")
                verdicts[expected.judge(number, reply)] += 1
                seconds.append(reply.seconds)

    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(num_clients)))
    return {**figures(seconds), "rate": num_requests / (time.perf_counter() - start), "verdicts": dict(verdicts)}


async def open_loop(port: int, expected: Expected, rate: float, duration: float) -> dict[str, Any]:
    """Requests at random times, whether earlier ones are answered or not; probes twenty times a second."""
    replies: list[tuple[str, Reply]] = []
    idle: list[Client] = []
    probes: list[float] = []
    rng = random.Random(0)

    async def one() -> None:
        client = idle.pop() if idle else await Client(port).__aenter__()
        number = rng.randrange(NUM_PICTURES)
        try:
            reply = await client.ask(expected.pictures[number], f"{number}.jpg")
        except (OSError, asyncio.IncompleteReadError):
            reply = Reply(0, b"", 0.0, "")
        else:
            idle.append(client)
        replies.append((expected.judge(number, reply), reply))

    async def probe() -> None:
        async with Client(port) as client:
            while True:
                probes.append((await client.get("/v2/health/ready")).seconds)
                await asyncio.sleep(0.05)

    prober, tasks, start = asyncio.create_task(probe()), [], time.perf_counter()
    due = start
    while due < start + duration:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one()))
        due += rng.expovariate(rate)
    sent = time.perf_counter() - start
    await asyncio.gather(*tasks)
    prober.cancel()
    for client in idle:
        await client.__aexit__()
    good = [reply.seconds for verdict, reply in replies if verdict == "right"]
    refused = [reply for verdict, reply in replies if verdict in ("429", "503")]
    return {
        **figures(good),
        "offered": len(tasks) / sent,
        "goodput": len(good) / sent,
        "refused": {**figures([reply.seconds for reply in refused]), "with_retry_after": sum(
            bool(reply.retry_after) for reply in refused), "num": len(refused)},
        "probes": figures(probes),
        "verdicts": dict(Counter(verdict for verdict, _ in replies)),
    }  # fmt: skip


def figures(seconds: list[float]) -> dict[str, float]:
    """Median and 99th percentile in milliseconds."""
    if not seconds:
        return {}
    return {"p50_ms": 1000 * float(np.quantile(seconds, 0.5)), "p99_ms": 1000 * float(np.quantile(seconds, 0.99))}


async def recovery(port: int, expected: Expected, single_ms: float) -> float:
    """Seconds until a request is answered in twice the time of a single one."""
    start = time.perf_counter()
    async with Client(port) as client:
        while True:
            reply = await client.ask(expected.pictures[0], "0.jpg")
            if reply.status == 200 and 1000 * reply.seconds < 2 * single_ms:
                return time.perf_counter() - start


async def mixed(port: int, expected: Expected, num_requests: int) -> dict[str, int]:
    """Good pictures, bad ones, damaged forms, damaged JSON, unknown paths, too large heads."""
    statuses: Counter[int] = Counter()
    left = iter(range(num_requests))

    async def work() -> None:
        async with Client(port) as client:
            for n in left:
                number = n % NUM_PICTURES
                picture = expected.pictures[number]
                if n % 6 == 0:
                    reply = await client.ask(picture, f"{number}.jpg")
                elif n % 6 == 1:
                    reply = await client.ask(picture[:999] + os.urandom(99), f"{os.urandom(8).hex()}.jpg")
                elif n % 6 == 2:
                    reply = await client.post("/v1/predict", os.urandom(2000), "multipart/form-data; boundary=b")
                elif n % 6 == 3:
                    reply = await client.post("/v2/models/m/infer", b'{"inputs": [' * 20, "application/json")
                elif n % 6 == 4:
                    reply = await client.get(f"/{os.urandom(8).hex()}")
                else:
                    reply = await client.get("/v1/models")
                statuses[reply.status] += 1

    await asyncio.gather(*(work() for _ in range(8)))
    return {str(status): number for status, number in sorted(statuses.items())}


def measure(model: Path, expected: Expected, requests: int, seconds: float) -> list[dict[str, Any]]:
    """All rows."""
    rows: list[dict[str, Any]] = []
    with Server(model, "--max-queue", 128) as server:
        asyncio.run(closed_loop(server.port, expected, 8, 64))  # caches fill
        for num_clients in CLIENTS:
            row = asyncio.run(closed_loop(server.port, expected, num_clients, requests))
            rows.append({"what": f"{num_clients} clients", **row})
            print(rows[-1], flush=True)
    single_ms, capacity = rows[0]["p50_ms"], max(row["rate"] for row in rows)
    with Server(model) as server:
        asyncio.run(closed_loop(server.port, expected, 8, 64))
        row = asyncio.run(open_loop(server.port, expected, 0.7 * capacity, seconds))
        rows.append({"what": "0.7 C", "p99_to_single": row["p99_ms"] / single_ms, **row})
        print(rows[-1], flush=True)
        row = asyncio.run(open_loop(server.port, expected, 10 * capacity, seconds))
        after = asyncio.run(recovery(server.port, expected, single_ms))
        rows.append({"what": "10 C", "goodput_to_c": row["goodput"] / capacity, "recovery_s": after, **row})
        print(rows[-1], flush=True)
        asyncio.run(mixed(server.port, expected, max(600, requests // 10)))
        before = server.resident_bytes()
        statuses = asyncio.run(mixed(server.port, expected, 4 * requests))
        growth = (server.resident_bytes() - before) / 2**20
        rows.append({"what": f"{4 * requests} mixed requests", "growth_mib": growth, "statuses": statuses})
        print(rows[-1], flush=True)
    with Server(model, "--max-batch", 1, "--max-queue", 128) as server:
        asyncio.run(closed_loop(server.port, expected, 8, 64))
        row = asyncio.run(closed_loop(server.port, expected, 32, requests))
        rows.append({"what": "one by one, 32 clients", "batching_gain": capacity / row["rate"], **row})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure, and save the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", default="resnet18", choices=NETWORKS)
    parser.add_argument("--requests", type=int, default=1_500)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder), options.network)
        expected = expect(model, make_pictures())
        rows = measure(model, expected, options.requests, options.seconds)
    about = {"network": options.network, "requests": options.requests, "load": round(os.getloadavg()[2], 1)}
    kept = [row for row in finished("serve", "network") if row["network"] != options.network]
    save("serve", [*kept, *({**about, **row} for row in rows)], command="python benchmarks/serve.py",
         notes="The client shares the cores with the server; load: the machine's over 15 minutes.")  # fmt: skip


if __name__ == "__main__":
    main()
