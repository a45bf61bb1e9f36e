"""AutoGluon's MultiModalPredictor on a table of pictures, with the same weights, size and number of epochs.

    PYTHON autogluon_multimodal.py TABLE.csv OUT.json --weights FILE --name MODEL [--size 64] [--epochs 60] [--seed 0]

PYTHON is an environment with `autogluon.multimodal`. TABLE and OUT are those of `plain_finetune.py`. What AutoGluon
chooses by itself stays: the validation split, augmentation, learning rates, the average of its best epochs. But its
batch is 16, because its own of 128 makes one step per epoch of so few pictures, and it gives up after ten of them. Its
download of weights is replaced by the local file. Several columns of pictures are its own way with several views: one
network, whose logits are averaged.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pandas
import timm
import torch
from autogluon.multimodal import MultiModalPredictor
from autogluon.multimodal.models import timm_image
from safetensors.torch import load_file

BATCH = 16


def local_model(name: str, *, weights: Path, num_classes: int, **_: Any) -> torch.nn.Module:
    """The pretrained network from the file, with a new classifier, and batch norm as it is: it has been folded away."""
    net = timm.create_model(name, num_classes=num_classes, pad_type="same")
    state = {key: value for key, value in load_file(weights).items() if not key.startswith("classifier")}
    missing = net.load_state_dict(state, strict=False).missing_keys
    assert all(key.startswith("classifier") or "num_batches" in key for key in missing), missing
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval().train = lambda mode=True, module=module: module
    return net


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("table", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    timm_image.create_model = partial(local_model, weights=options.weights)
    rows = list(csv.DictReader(options.table.open()))
    views = [name for name in rows[0] if name not in ("label", "split", "id")]
    # A word before the label, because numbers would be read as a quantity.
    table = pandas.DataFrame(
        [{"label": f"class {row['label']}", **{view: str(options.table.parent / row[view]) for view in views}}
         for row in rows]
    )  # fmt: skip
    is_test = pandas.Series([row["split"] == "test" for row in rows])
    with tempfile.TemporaryDirectory() as folder:
        predictor = MultiModalPredictor(
            label="label", problem_type="multiclass", path=f"{folder}/model", verbosity=1, eval_metric="accuracy"
        )
        predictor.fit(
            table[~is_test].reset_index(drop=True),
            column_types=dict.fromkeys(views, "image_path"),
            seed=options.seed,
            hyperparameters={
                "model.names": ["timm_image"],
                "model.timm_image.checkpoint_name": options.name,
                "model.timm_image.image_size": options.size,
                "model.timm_image.image_norm": "inception",
                "optim.max_epochs": options.epochs,
                "optim.patience": 2 * options.epochs,
                "env.batch_size": BATCH,
                "env.per_gpu_batch_size": BATCH,
                "env.num_gpus": 0,
                "env.precision": 32,
                "env.num_workers": 0,
                "env.num_workers_inference": 0,
            },
        )
        probabilities = predictor.predict_proba(table[is_test].drop(columns="label").reset_index(drop=True))
    classes = [name.removeprefix("class ") for name in probabilities.columns]
    options.out.write_text(json.dumps({"classes": classes, "probabilities": probabilities.to_numpy().tolist()}))


if __name__ == "__main__":
    main()
