"""Every loss through the whole pipeline: it learns by heart, and all who read the model read it the same way."""

import json

import numpy as np
import pytest
import torch

from obverse.bundle import read_bundle
from obverse.decisions import OneClass, training_prior
from obverse.errors import Interrupted
from obverse.evaluation import Predictions, best_prior, selection_value
from obverse.experiment import evaluate_run, start_run
from obverse.inference import load
from obverse.runs import EpochEnd, RunFolder
from obverse.runs.checkpoint import load_newest

NOMINAL = {
    "focal": {"kind": "focal"},
    "weighted": {"kind": "cross-entropy", "class_weights": "effective", "effective_beta": 0.9, "defer_fraction": 0.5},
    "logit-adjustment": {"kind": "logit-adjustment", "prior": "balanced"},
    "balanced-softmax": {"kind": "balanced-softmax", "prior": "train"},
    "ldam": {"kind": "ldam", "class_weights": "sqrt", "defer_fraction": 0.5},
}
ORDINAL = {kind: {"kind": kind} for kind in ("sord", "emd", "corn", "coral")}
HEART = {"split": {"train": 0.7, "val": 0.3, "test": 0.0}}


@pytest.mark.parametrize("name", [*NOMINAL, *ORDINAL])
def test_eight_samples_are_learned_by_heart(name, draw_picture, make_recipe, make_trainer, tmp_path):
    """Pictures of pure noise, three classes of 4, 2 and 2."""
    rows = ["label,split,image"]
    for n in range(12):
        split, label = ("train", "abacabac"[n]) if n < 8 else ("val", "abca"[n - 8])
        rows.append(f"{label},{split},{draw_picture(tmp_path / f'{n}.png', seed=n).name}")
    (tmp_path / "data.csv").write_text("\n".join(rows))
    order = {"order": ["a", "b", "c"]} if name in ORDINAL else {}
    recipe = make_recipe(
        data={**HEART, **order},
        loss=(NOMINAL | ORDINAL)[name],
        optim={"lr": 0.02, "weight_decay": 0.0},
        model={"head": {"hidden": [16]}},
        training={"epochs": 40, "batch_size": 8, "micro_batch_size": 8, "select": "accuracy"},
    )
    trainer = make_trainer(tmp_path / "data.csv", recipe, tmp_path / "c")
    last = [event for event in trainer.run() if isinstance(event, EpochEnd)][-1]
    assert last.train_accuracy == 1.0


@pytest.mark.parametrize("kind", ["corn", "coral"])
def test_training_evaluation_and_prediction_read_the_same_answer(kind, draw_classes, make_recipe, tmp_path):
    grades = ("1", "2", "3", "4")
    data = draw_classes(tmp_path / "data", classes=grades, per_class=8, views=("front", "back"))
    run = RunFolder(tmp_path / "run")
    # Gates learn these pictures so well that median and mode are the same.
    model = {"fusion": {"kind": "concat"}}
    training = {"epochs": 6, "select": "mae"}
    recipe = make_recipe(data={"order": list(grades)}, loss={"kind": kind}, model=model, training=training)
    start_run(data, recipe, run)
    folder = run.evaluation("val")
    metrics = json.loads((folder / "metrics.json").read_text())
    history = json.loads((run.path / "training_log.json").read_text())
    assert history["facts"]["loss"] == f"{kind}; answer is the median"
    assert metrics["ordinal"]["mean_absolute_error"]["value"] == pytest.approx(history["best_value"])
    probabilities = np.load(folder / "probabilities.npy")
    assert probabilities.shape[1] == 4
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    medians = (probabilities.cumsum(1) >= 0.5 - 1e-6).argmax(1)
    assert np.load(folder / "predictions.npy").tolist() == medians.tolist()
    again, _ = evaluate_run(run.path, split="val", out=tmp_path / "again", device="cpu")
    np.testing.assert_allclose(np.load(again / "probabilities.npy"), probabilities, atol=1e-5)

    ids = json.loads((folder / "ids.json").read_text())
    answers = {p.id: (p.label, dict(p.top)) for p in load(run.path, device="cpu").predict(data, top_k=9)}
    assert (medians != probabilities.argmax(1)).any(), "the answer should differ from the likeliest class somewhere"
    for row, name in enumerate(ids):
        ((label, found),) = [answer for key, answer in answers.items() if key.endswith(f"/{name}")]
        assert label == next(iter(found)) == grades[medians[row]]
        np.testing.assert_allclose([found[grade] for grade in grades], probabilities[row], atol=1e-5)


def test_weights_and_the_deployment_prior_come_from_the_training_split(
    draw_classes, make_recipe, make_trainer, tmp_path
):
    data = draw_classes(tmp_path / "data", per_class=12)
    for path in sorted((data / "light").glob("*.png"))[4:]:
        path.unlink()
    prior = {"kind": "logit-adjustment", "prior": "train"}
    trainer = make_trainer(data, make_recipe(loss=prior), tmp_path / "a")
    counts = trainer.loaders.train.dataset.manifest.counts("train")
    shares = [count / sum(counts.values()) for count in counts.values()]
    assert trainer.objective.output.prior == trainer.forward.output.prior == pytest.approx(shares)
    assert shares[0] > 2 * shares[1]
    weighted = make_trainer(data, make_recipe(loss={"class_weights": "inverse"}), tmp_path / "b")
    assert weighted.objective.weights_K.tolist() == pytest.approx([0.5 / share for share in shares])


def test_deferred_weights_begin_in_the_middle_of_a_run(draw_classes, make_recipe, make_trainer, tmp_path):
    data = draw_classes(tmp_path / "data", per_class=12)
    for path in sorted((data / "light").glob("*.png"))[4:]:
        path.unlink()

    def weights(**loss):
        trainer = make_trainer(data, make_recipe(loss={"kind": "cross-entropy", **loss}), tmp_path / "a")
        seen = []
        original = trainer._step

        def step(batch):
            result = original(batch)
            seen.append(result.weight)
            return result

        trainer._step = step
        list(trainer.run())
        return seen

    plain, always = weights(), weights(class_weights="inverse")
    assert plain != pytest.approx(always)
    half = len(plain) // 2
    late = weights(class_weights="inverse", defer_fraction=0.5)
    assert late == pytest.approx(plain[:half] + always[half:])


EVERYTHING = {
    "balanced sampling, mixed, two epochs": {
        "loss": {"kind": "ldam"},
        "training": {"sampler": "balanced"},
        "mixing": {"mixup": 0.8, "cutmix": 1.0},
    },
    "deferred weights, mixed, smoothed": {
        "loss": {"kind": "focal", "class_weights": "inverse", "defer_fraction": 0.5, "label_smoothing": 0.1},
        "mixing": {"cutmix": 1.0},
    },
    "ordinal, weighted, mixed": {
        "data": {"order": ["dark", "light"]},
        "loss": {"kind": "corn", "class_weights": "sqrt"},
        "mixing": {"mixup": 0.8},
    },
}


@pytest.mark.parametrize("name", EVERYTHING)
@pytest.mark.parametrize("stop", [2, 5])
def test_resume_is_uninterrupted(name, stop, draw_classes, make_recipe, make_trainer, tmp_path):
    data = draw_classes(tmp_path / "data", per_class=12)
    for path in sorted((data / "light").glob("*.png"))[5:]:
        path.unlink()
    sections = {"augment": {"policy": "generic"}, **EVERYTHING[name]}

    def run(folder, *, stop=None, resume=False):
        wish = {"at": stop}
        recipe = make_recipe(**sections)
        trainer = make_trainer(
            data, recipe, tmp_path / folder, wanted_signal=lambda: 15 if trainer.progress.step == wish["at"] else None
        )
        if resume:
            trainer.restore(load_newest(tmp_path / folder)[0])
        list(trainer.run())
        return trainer.model.state_dict()

    whole = run("a")
    with pytest.raises(Interrupted):
        run("b", stop=stop)
    assert all(torch.equal(tensor, whole[key]) for key, tensor in run("b", resume=True).items())


def test_a_tuned_prior_is_the_power_of_the_training_frequencies_that_is_best_on_val(
    draw_classes, make_recipe, tmp_path
):
    data = draw_classes(tmp_path / "data", per_class=30)
    for path in sorted((data / "light").glob("*.png"))[8:]:
        path.unlink()
    recipe = make_recipe(
        loss={"kind": "logit-adjustment", "prior": "tuned"}, training={"epochs": 1, "select": "macro_f1"}
    )
    run = start_run(data, recipe, RunFolder(tmp_path / "run")).run
    bundle, _ = read_bundle(run.bundle)
    counts = json.loads((run.path / "data_report.json").read_text())["counts"]["train"].values()
    candidates = [training_prior(list(counts), power=power) for power in (0, 0.25, 0.5, 0.75, 1)]
    assert bundle.output.prior in [pytest.approx(prior) for prior in candidates]

    val = Predictions.read(run.evaluation("val"))
    network_NK = np.log(val.probabilities_NK) - np.log(bundle.output.prior, dtype=np.float32)
    values = [selection_value("macro_f1", network_NK + np.log(prior), val.truth) for prior in candidates]
    shipped = selection_value("macro_f1", np.log(val.probabilities_NK), val.truth)
    # The epoch was chosen by what ships, not by equal frequencies.
    assert shipped == max(values) == json.loads((run.path / "training_log.json").read_text())["best_value"]
    assert "tuned on val" in json.loads((run.path / "training_log.json").read_text())["facts"]["loss"]


def test_the_prior_follows_what_val_shows():
    """Two samples in doubt that lean to the rare class: wrong in a val as uneven as training, right in an even one."""
    logits_NK = np.array([[9, 0], [0, 9], [0, 2], [0, 2]], np.float32)
    for labels, power in (([0, 1, 0, 0], 1.0), ([0, 1, 1, 1], 0.0)):
        found = best_prior("accuracy", logits_NK, np.array(labels), counts=[90, 10], kind=OneClass())
        assert found == training_prior([90, 10], power=power)


@pytest.mark.parametrize(("decode", "power"), [("mode", 0.25), ("median", 0.0)])
def test_the_prior_is_tuned_for_the_answers_that_ship(decode, power):
    """The first sample's median is the middle class, which is right, while classes count alike; its mode never is."""
    logits_NK = np.log(np.array([[0.45, 0.2, 0.35], [0.38, 0.15, 0.47]], np.float32))
    counts = [81, 9, 1]
    found = best_prior("accuracy", logits_NK, np.array([1, 0]), counts=counts, kind=OneClass(decode))
    assert found == training_prior(counts, power=power)
