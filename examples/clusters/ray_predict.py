"""Predict many pictures on a Ray cluster: `python ray_predict.py MODEL PICTURES OUT NUM_SHARDS`.

Every machine has Obverse installed and sees the three paths. Tasks that fail are tried again by Ray, and the same
command continues a run that was stopped.
"""

import subprocess
import sys
from pathlib import Path

import ray

model, pictures, out, num_shards = (*map(Path, sys.argv[1:4]), int(sys.argv[4]))


def predict(row):
    """Write one shard, unless it is there already; its name and exit code (65: some pictures could not be read)."""
    part, shard = out / f"part-{row['id']:05}.parquet", f"{row['id'] + 1}/{num_shards}"
    if part.exists():
        return {"part": str(part), "code": 0}
    command = [sys.executable, "-m", "obverse", "predict", model, pictures, "--out", part, "--shard", shard]
    code = subprocess.run(command).returncode
    if code not in (0, 65):
        raise RuntimeError(f"shard {shard} ended with exit code {code}")
    return {"part": str(part), "code": code}


out.mkdir(parents=True, exist_ok=True)
shards = ray.data.range(num_shards, override_num_blocks=num_shards).map(predict, num_cpus=1)
parts = sorted(row["part"] for row in shards.take_all())
print(ray.data.read_parquet(parts).count(), "rows in", len(parts), "files of", out)
