"""The two-view example, as its README says: the script without arguments, its files, its snippet."""

import json
import re
import signal

import numpy as np
import pytest
import torch
from PIL import Image

import obverse
from obverse.export import class_names, read_pth
from obverse.manifest.generated import generate_coins
from obverse.training.step import train_step

SCRIPT = "coin_classifier_vit.py"
CONSTANTS = ("IMAGE_SIZE", "BATCH_SIZE", "NUM_EPOCHS", "LEARNING_RATE", "WEIGHT_DECAY", "NUM_WORKERS", "DEVICE")
TINY = {
    "IMAGE_SIZE": 40,
    "NUM_EPOCHS": 1,
    "NUM_WORKERS": 0,
    "DEVICE": "cpu",
    "BACKBONE": "test_vit",
    "PRETRAINED": "none",
}


@pytest.fixture
def coins(example):
    """The example with tiny constants and a generated set in images/."""
    folder = example("coins_two_view")
    folder.edit(SCRIPT, **TINY)
    generate_coins(folder.path / "images", num_samples=40, size=40)
    return folder


def test_the_script_writes_every_file_and_the_snippet_grades_a_coin(coins):
    code, out, err = coins.run(SCRIPT)
    assert code == 0, err
    assert re.search(r"Test accuracy: \d+\.\d\d%", out)
    assert "canvas of 48x48" in err
    (run,) = (coins.path / "runs").glob("vit_dual_*")
    assert re.fullmatch(r"vit_dual_\d{8}_\d{6}", run.name)
    assert list(run.glob("events.out.tfevents.*"))
    models = coins.path / "models"
    assert {path.name for path in models.iterdir()} == {
        *("coin_vit_dual_best.pth", "history_vit.json", "config_vit.json", "training_history_vit.png")
    }
    history, config = (json.loads((models / f"{name}_vit.json").read_text()) for name in ("history", "config"))
    assert {"train_loss", "val_loss", "train_accuracy", "val_accuracy", "learning_rate"} <= set(history)
    assert [len(column) for column in history.values()] == [1] * len(history)
    assert {name: config[name] for name in TINY} == TINY
    checkpoint = torch.load(models / "coin_vit_dual_best.pth", weights_only=True)
    assert class_names(checkpoint) == class_names(config) == ("G04", "VF20", "XF40", "AU50", "MS65")
    assert set(checkpoint["idx_to_class"]) == set("01234")
    assert checkpoint["class_to_idx"]["MS65"] == 4
    check_predictions(coins, run, checkpoint)


def check_predictions(coins, run, checkpoint):
    """The README's snippet, the class, `read_pth` and the run all give one answer."""
    pictures = {side: next((coins.path / "images/AU50" / side).iterdir()) for side in ("obverse", "reverse")}
    for side, path in pictures.items():
        Image.open(path).save(coins.path / f"{side}.jpg", quality=95)
    pair = {side: coins.path / f"{side}.jpg" for side in pictures}
    (expected,) = obverse.load(run).predict(pair)
    printed = coins.snippet("Predicted Grade").splitlines()
    assert printed[0] == f"Predicted Grade: {expected.label}"
    assert float(printed[1].removeprefix("Confidence: ")[:-1]) == pytest.approx(100 * expected.probability, abs=0.5)
    assert printed[2] == "Top 3 Predictions:"
    assert len(printed) == 6
    assert [line.split(":")[0].strip() for line in printed[3:]] == [name for name, _ in expected.top]
    (again,) = obverse.Predictor(*read_pth(coins.path / "models/coin_vit_dual_best.pth")).predict(pair)
    assert again == expected


def test_an_interrupted_run_goes_on_to_the_same_weights(coins, monkeypatch):
    """A signal comes in the second of three steps."""
    assert coins.run(SCRIPT)[0] == 0
    checkpoint = coins.path / "models/coin_vit_dual_best.pth"
    expected = torch.load(checkpoint, weights_only=True)["model_state_dict"]
    checkpoint.unlink()
    (whole,) = (coins.path / "runs").iterdir()
    whole.rename(coins.path / "whole")
    steps = []

    def step(*arguments, **options):
        steps.append(1)
        if len(steps) == 2:
            signal.raise_signal(signal.SIGTERM)
        return train_step(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr("obverse.training.trainer.train_step", step)
        code, _, err = coins.run(SCRIPT)
    assert code == 143
    assert 'RESUME = "runs/vit_dual_..."' in err
    assert not checkpoint.exists()
    (run,) = (coins.path / "runs").iterdir()
    coins.edit(SCRIPT, RESUME=str(run))
    code, _, err = coins.run(SCRIPT)
    assert code == 0, err
    assert "resumed after step 2" in err
    found = torch.load(checkpoint, weights_only=True)["model_state_dict"]
    torch.testing.assert_close(found, expected, atol=0, rtol=0)


def test_the_class_pads_downloads_nothing_and_importing_starts_nothing(coins, monkeypatch):
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: pytest.fail("it asked the network"))
    coins.edit(SCRIPT, PRETRAINED="hub")
    import coin_classifier_vit as script

    assert not (coins.path / "runs").exists()
    assert not (coins.path / "models").exists()
    torch.manual_seed(0)
    model = script.DualViTClassifier(num_classes=3).eval()
    sides = torch.rand(2, 2, 3, 40, 40)
    with torch.no_grad():
        logits = model(*sides)
        inside = model._padded(sides[0])
    assert logits.shape == (2, 3)
    assert inside.shape == (2, 3, 48, 48)
    torch.testing.assert_close(inside[..., 4:44, 4:44], sides[0])
    np.testing.assert_allclose(inside[..., 0, :].numpy(), (128 / 255 - 0.5) / 0.5, atol=1e-6)
    assert not torch.allclose(logits, model(sides[1], sides[0]))
    with pytest.raises(ValueError, match="at most"):
        model(torch.rand(1, 3, 50, 50), torch.rand(1, 3, 50, 50))


def test_the_network_as_it_is_takes_1000_by_1000(example):
    """Without memory for its tensors: 172 million parameters, pictures of 1000x1000 on a canvas of 1008x1008."""
    folder = example("coins_two_view")
    text = (folder.path / SCRIPT).read_text()
    assert [name for name in CONSTANTS if not re.search(rf"(?m)^{name} = ", text)] == []
    import coin_classifier_vit as script

    with torch.device("meta"):
        model = script.DualViTClassifier(num_classes=5).eval()
        assert model(torch.rand(1, 3, 1000, 1000), torch.rand(1, 3, 1000, 1000)).shape == (1, 5)
    assert 170e6 < model.num_parameters() < 185e6
    shapes = [tuple(layer.weight.shape) for layer in model.head if hasattr(layer, "weight")]
    assert shapes == [(1024, 1536), (512, 1024), (5, 512)]


def test_a_missing_download_is_one_sentence_and_leaves_nothing(coins, monkeypatch):
    monkeypatch.setattr(
        "obverse.models.backbones.timm_backbone.why_unavailable", lambda name: "the hub cannot be reached"
    )
    coins.edit(SCRIPT, PRETRAINED="hub")
    code, _, err = coins.run(SCRIPT)
    assert code == 69
    assert "the hub cannot be reached" in err
    assert "PRETRAINED" in err
    assert not list((coins.path / "runs").glob("*/*"))


def test_one_grade_is_not_enough(coins):
    for grade in ("VF20", "XF40", "AU50", "MS65"):
        (coins.path / "images" / grade).rename(coins.path / grade)
    code, _, err = coins.run(SCRIPT)
    assert code == 65
    assert "Need at least 2 classes" in err
