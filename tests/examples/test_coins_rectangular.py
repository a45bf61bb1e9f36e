"""The rectangular example, as its README says: prepare, train, the checkpoint, the snippet, going on."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import obverse
from obverse.export import read_pth

SCRIPT = "coin_classifier_custom.py"
CONSTANTS = ("IMAGE_WIDTH", "IMAGE_HEIGHT", "BATCH_SIZE", "NUM_EPOCHS", "LEARNING_RATE")
FAST = ["runtime.num_workers=0", "runtime.precision=fp32", "runtime.channels_last=false", "runtime.matmul=highest",
        "runtime.num_threads=1", "evaluation.maps=0", "model.head.hidden=[16]",
        "model.backbone.num_blocks=4"]  # fmt: skip
TINY = {"IMAGE_WIDTH": 64, "IMAGE_HEIGHT": 32, "NUM_EPOCHS": 1, "BATCH_SIZE": 8, "SETTINGS": FAST}


@pytest.fixture
def coins(example):
    """images/<grade>/<W>x<H>/ of 2:1 pictures, whose grades differ in brightness."""
    folder = example("coins_rectangular")
    folder.edit(SCRIPT, **TINY)
    for number, grade in enumerate(("G04", "AU50", "MS65")):
        place = folder.path / "images" / grade / "6000x3000"
        place.mkdir(parents=True)
        for coin in range(8):
            rng = np.random.default_rng([number, coin])
            pixels = rng.normal(60 + 60 * number, 12, (40, 80, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(place / f"coin{coin}.jpg")
    return folder


def test_prepare_writes_a_manifest_and_copies_nothing(coins):
    before = sorted(path for path in coins.path.rglob("*") if path.is_file())
    code, out, err = coins.run("prepare_dataset.py")
    assert code == 0, err
    assert "wrote dataset.csv: 24 pictures" in out
    with (coins.path / "dataset.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for grade, shown in re.findall(r"^(G04|AU50|MS65) +(.*)$", out, re.MULTILINE):
        counts = {split: int(count) for split, count in re.findall(r"(\w+) (\d+)", shown)}
        assert sum(counts.values()) == 8
        assert min(counts.values()) > 0
        found = [row["split"] for row in rows if row["label"] == grade]
        assert {split: found.count(split) for split in ("train", "val", "test")} == counts
    new = {path for path in coins.path.rglob("*") if path.is_file()} - set(before)
    assert {path.name for path in new if "__pycache__" not in path.parts} == {"dataset.csv"}


def test_an_edited_manifest_is_replaced_when_told_only_and_its_splits_can_be_kept(coins):
    coins.run("prepare_dataset.py")
    dataset = coins.path / "dataset.csv"
    with dataset.open(newline="") as file:
        rows = list(csv.DictReader(file))
    edited = {row["id"]: "train" if row["split"] == "val" else row["split"] for row in rows[1:]} | {
        rows[0]["id"]: "val", rows[8]["id"]: "val", rows[16]["id"]: "val"
    }  # fmt: skip
    with dataset.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"split": edited[row["id"]]} for row in rows)
    before = dataset.read_bytes()
    code, _, err = coins.run("prepare_dataset.py")
    assert code == 73
    assert "dataset.csv exists, perhaps with changes of yours; --force replaces it" in err
    assert "data.split.stored" in err
    assert dataset.read_bytes() == before
    coins.edit("prepare_dataset.py", STORED="dataset.csv")
    code, _, err = coins.run("prepare_dataset.py", "--force")
    assert code == 0, err
    with dataset.open(newline="") as file:
        assert {row["id"]: row["split"] for row in csv.DictReader(file)} == edited


def test_the_script_writes_the_checkpoint_and_the_snippet_predicts(coins):
    for coin in range(5):  # few of one grade, so that the prior of training is in the checkpoint
        (coins.path / f"images/MS65/6000x3000/coin{coin}.jpg").unlink()
    coins.edit(SCRIPT, SETTINGS=[*FAST, "loss={kind: logit-adjustment, prior: train}"])
    coins.run("prepare_dataset.py")
    code, out, err = coins.run(SCRIPT)
    assert code == 0, err
    assert "Test accuracy: " in out
    (run,) = (coins.path / "runs").glob("coin_custom_*")
    with (run / "manifest.csv").open(newline="") as one, (coins.path / "dataset.csv").open(newline="") as other:
        trained, prepared = ({row["id"]: row["split"] for row in csv.DictReader(file)} for file in (one, other))
    assert trained == prepared
    path = coins.path / "coin_classifier_custom_best.pth"
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["classes"] == ["G04", "AU50", "MS65"]
    assert 0 <= checkpoint["best_accuracy"] <= 1
    log = json.loads((run / "training_log.json").read_text())
    assert checkpoint["best_accuracy"] == log["epochs"][log["best_epoch"] - 1]["val_accuracy"]
    assert len(checkpoint["optimizer_state_dict"]["state"]) == sum(1 for _ in read_pth(path)[1].parameters())
    shutil.copyfile(next((coins.path / "images/MS65/6000x3000").iterdir()), coins.path / "coin.jpg")
    (expected,) = obverse.load(run).predict(coins.path / "coin.jpg")
    printed = coins.snippet("Predicted Grade").splitlines()
    assert printed[0] == f"Predicted Grade: {expected.label}"
    assert float(printed[1].removeprefix("Confidence: ")[:-1]) == pytest.approx(100 * expected.probability, abs=0.02)
    assert printed[2] == "Top 3 Predictions:"
    assert len(printed) == 6


def test_a_finished_run_is_resumed_to_the_same_checkpoint(coins):
    settings = [*FAST, "data.split.train=0.8", "data.split.val=0.2", "data.split.test=0"]
    coins.edit(SCRIPT, SETTINGS=settings)
    code, out, err = coins.run(SCRIPT)  # from images/, without a dataset.csv
    assert code == 0, err
    assert "Val accuracy: " in out
    assert "Test" not in out
    first = torch.load(coins.path / "coin_classifier_custom_best.pth", weights_only=True)
    (run,) = (coins.path / "runs").glob("coin_custom_*")
    log = json.loads((run / "training_log.json").read_text())
    values = {1: 0.25, 2: 0.125, 3: 0.5}
    log["epochs"] = [log["epochs"][0] | {"epoch": epoch, "val_accuracy": value} for epoch, value in values.items()]
    (run / "training_log.json").write_text(json.dumps(log | {"best_epoch": 2}))
    coins.edit(SCRIPT, RESUME=str(run))
    code, _, err = coins.run(SCRIPT)
    assert code == 0, err
    second = torch.load(coins.path / "coin_classifier_custom_best.pth", weights_only=True)
    # Of the epoch that was chosen, which need not be the one of highest accuracy.
    assert (second["epoch"], second["best_accuracy"]) == (2, 0.125)
    torch.testing.assert_close(second["model_state_dict"], first["model_state_dict"], atol=0, rtol=0)
    assert len(list((coins.path / "runs").iterdir())) == 1


@pytest.mark.parametrize(("blocks", "millions"), [(5, 148.683082), (4, 546.6), (6, 52.7)])
def test_the_document_network_and_its_true_sizes(example, blocks, millions):
    folder = example("coins_rectangular")
    text = (folder.path / SCRIPT).read_text()
    assert [name for name in CONSTANTS if not re.search(rf"(?m)^{name} = ", text)] == []
    folder.edit(SCRIPT, SETTINGS=[f"model.backbone.num_blocks={blocks}"])
    import coin_classifier_custom as script

    with torch.device("meta"):
        model = script.CoinClassifier(num_classes=10).eval()
        assert model(torch.rand(2, 3, 256, 512)).shape == (2, 10)
    assert model.num_parameters() / 1e6 == pytest.approx(millions, abs=0.05 if blocks != 5 else 1e-6)
    assert not (folder.path / "runs").exists()
