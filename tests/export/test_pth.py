"""`best_model.pth` loads without running code, says all that the bundle says, and predicts the same."""

import json
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

import obverse
from obverse.bundle import read_bundle
from obverse.errors import DataError
from obverse.export import class_names, read_pth, write_pth
from obverse.export.pth import load_safely
from obverse.inference import Predictor
from obverse.models.weights.weight_files import read_weights
from obverse.recipe import OutputSpec, ViewHeadsSpec

BUILTINS = (str, int, float, bool, type(None))


def leaves(value):
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in (key, *leaves(inner))]
    return [leaf for inner in value for leaf in leaves(inner)] if isinstance(value, (list, tuple)) else [value]


@pytest.fixture(scope="module")
def written(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("pth") / "model.pth"
    bundle, classifier = read_bundle(trained.path)
    write_pth(path, bundle, classifier, more={"best_accuracy": 0.5})
    return path


def test_it_holds_tensors_and_builtins_only(written, trained):
    values = torch.load(written, weights_only=True)
    weights = values["model_state_dict"]
    assert all(type(tensor) is torch.Tensor for tensor in weights.values())
    others = {name: value for name, value in values.items() if name != "model_state_dict"}
    assert all(type(leaf) in BUILTINS for leaf in leaves(others))
    described = json.loads((trained.bundle / "model.json").read_text())
    for name in ("classes", "views", "mean", "std", "geometry", "model", "output"):
        assert json.loads(json.dumps(values[name])) == described[name]
    assert values["best_accuracy"] == 0.5
    assert values["class_to_idx"] == {"dark": 0, "light": 1}
    assert values["idx_to_class"] == {"0": "dark", "1": "light"}


def test_what_comes_back_predicts_the_same(written, trained, draw_picture, tmp_path):
    pair = {view: draw_picture(tmp_path / f"{view}.png", seed=7) for view in ("obverse", "reverse")}
    (expected,) = obverse.load(trained.path).predict(pair)
    (found,) = Predictor(*read_pth(written)).predict(pair)
    assert found == expected


@pytest.mark.parametrize("view_heads", [None, ViewHeadsSpec()])
def test_a_prior_is_in_the_weights(view_heads, trained, draw_picture, tmp_path):
    """A plain softmax of the logits is what the predictor says, of all views and of every view's own head."""
    bundle, _ = read_bundle(trained.path)
    model, output = bundle.model.changed({"view_heads": view_heads}), OutputSpec(prior=(0.9, 0.1))
    bundle = replace(bundle, model=model, output=output)
    torch.manual_seed(0)
    predictor = Predictor(bundle, bundle.build().eval())
    pair = {view: draw_picture(tmp_path / f"{view}.png", seed=7) for view in ("obverse", "reverse")}
    (expected,) = predictor.predict(pair)
    write_pth(tmp_path / "model.pth", bundle, predictor.engine.model)
    folded, classifier = read_pth(tmp_path / "model.pth")
    assert folded.output.prior is None
    (found,) = Predictor(folded, classifier).predict(pair)
    for answers in ("by_view", "view_grades"):
        assert getattr(found, answers) == {
            view: ((label, pytest.approx(value)),) for view, ((label, value),) in getattr(expected, answers).items()
        }
    (batch,) = predictor.batches(pair, 1)
    with torch.no_grad():
        logits_BK = classifier(predictor.engine.forward.inputs(batch), batch.present_BV)
    said = dict(expected.top)
    np.testing.assert_allclose(logits_BK.softmax(1)[0].numpy(), [said[name] for name in bundle.classes], rtol=1e-5)


def test_a_foreign_or_damaged_file_is_refused(written, tmp_path):
    (tmp_path / "text.pth").write_text("hello")
    torch.save([1], tmp_path / "list.pth")
    torch.save({"model_state_dict": {}}, tmp_path / "foreign.pth")
    values = torch.load(written, weights_only=True)
    values["model_state_dict"].popitem()
    torch.save(values, tmp_path / "short.pth")
    (tmp_path / "cut.pth").write_bytes(written.read_bytes()[:-500])
    told = {"text": "read safely", "list": "no dict", "foreign": "was not written", "short": "do not fit",
            "cut": "read safely", "absent": "cannot be read"}  # fmt: skip
    for name, words in told.items():
        with pytest.raises(DataError, match=words) as caught:
            read_pth(tmp_path / f"{name}.pth")
        assert "\n" not in str(caught.value)


def test_a_file_of_the_older_form_is_read(tmp_path):
    torch.save({"weight": torch.ones(2)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert load_safely(tmp_path / "old.pth")["weight"].tolist() == [1, 1]


class Harmful:
    def __reduce__(self):
        return print, ("code ran",)


@pytest.mark.parametrize("read", [load_safely, read_weights])
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("content", [Harmful(), torch.nn.Linear(1, 1)])
def test_how_to_load_a_refused_file_unsafely_is_not_told(tmp_path, content, legacy, read):
    """torch's own message is: set weights_only to False, or allowlist the class."""
    path = tmp_path / "bad.pth"
    if legacy:
        path.write_bytes(pickle.dumps({"model_state_dict": content}))
    else:
        torch.save({"model_state_dict": content}, path)
    with pytest.raises(DataError, match="only tensors and plain values are read; save the state dict alone") as caught:
        read(path)
    assert not any(word in str(caught.value) for word in ("weights_only", "safe_globals", "trust", "http"))


def test_code_in_a_file_never_runs(tmp_path, capsys):
    torch.save({"model_state_dict": Harmful()}, tmp_path / "bad.pth")
    with pytest.raises(DataError, match="read safely"):
        read_pth(tmp_path / "bad.pth")
    assert "code ran" not in capsys.readouterr().out


def test_class_names_come_from_int_or_string_keys():
    assert class_names({"classes": ["b", "a"]}) == ("b", "a")
    assert class_names({"idx_to_class": {1: "a", 0: "b"}}) == ("b", "a")
    assert class_names({"idx_to_class": {str(i): f"c{i}" for i in (10, 9, *range(9))}})[10] == "c10"
    assert class_names({"class_to_idx": {"a": 1, "b": 0}}) == ("b", "a")
    for wrong in ({}, {"idx_to_class": {0: "a", 2: "b"}}):
        with pytest.raises(DataError, match="class"):
            class_names(wrong)


def test_the_verb_writes_it_beside_the_bundle(trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained.path, run)
    from obverse.cli.models.export import command
    from obverse.errors import OutputError

    command(run, "pth")
    values = torch.load(run / "bundle/best_model.pth", weights_only=True)
    for name, tensor in read_bundle(run)[1].state_dict().items():
        np.testing.assert_array_equal(values["model_state_dict"][name].numpy(), tensor.numpy())
    with pytest.raises(OutputError, match="--force"):
        command(run, "pth")
    command(run, "pth", force=True)
    assert not list((run / "bundle").glob(".*"))
