"""Predict many pictures on a Spark cluster: `spark-submit spark_predict.py MODEL PICTURES OUT NUM_SHARDS`.

Every machine has Obverse installed and sees the three paths. Tasks that fail are tried again by Spark, and the same
command continues a run that was stopped.
"""

import subprocess
import sys
from pathlib import Path

from pyspark.sql import SparkSession

model, pictures, out, num_shards = (*map(Path, sys.argv[1:4]), int(sys.argv[4]))


def predict(number):
    """Write one shard, unless it is there already; its name and exit code (65: some pictures could not be read)."""
    part, shard = out / f"part-{number:05}.parquet", f"{number + 1}/{num_shards}"
    if part.exists():
        return str(part), 0
    command = [sys.executable, "-m", "obverse", "predict", model, pictures, "--out", part, "--shard", shard]
    code = subprocess.run(command).returncode
    if code not in (0, 65):
        raise RuntimeError(f"shard {shard} ended with exit code {code}")
    return str(part), code


out.mkdir(parents=True, exist_ok=True)
spark = SparkSession.builder.appName("obverse").getOrCreate()
parts = sorted(part for part, _ in spark.sparkContext.parallelize(range(num_shards), num_shards).map(predict).collect())
print(spark.read.parquet(*parts).count(), "rows in", len(parts), "files of", out)
spark.stop()
