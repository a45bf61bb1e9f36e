"""Functions of the Python API: what they return, what they refuse, and that they print nothing."""

import inspect
import shutil
from pathlib import Path

import pytest

import obverse
from obverse.recipe import load_recipe


@pytest.fixture(scope="module")
def data(draw_classes, tmp_path_factory):
    return draw_classes(tmp_path_factory.mktemp("data") / "pictures", per_class=10)


@pytest.fixture(scope="module")
def run(data, make_recipe, tmp_path_factory):
    """A finished run. Tests must not change it."""
    return obverse.train(data, make_recipe(), run=tmp_path_factory.mktemp("runs") / "first", epochs=1)


def test_a_run_is_a_path_with_measurements(run):
    assert Path(run) == run.path
    assert run.metrics["split"] == "test"
    assert run.report == run.path / "evaluation/test/report.html"
    assert any("parameters" in message for message in run.messages)
    assert load_recipe(str(run.path / "recipe.yaml")).training.epochs == 1


def test_a_run_can_be_used_for_predictions(run):
    (prediction,) = obverse.load(run).predict(run.example["image"])
    assert prediction.label in ("dark", "light")


def test_nothing_is_printed(data, make_recipe, tmp_path, capfd):
    obverse.check(data)
    obverse.train(data, make_recipe(training={"epochs": 1}), run=tmp_path / "run")
    assert capfd.readouterr() == ("", "")


def test_resume_and_more_epochs(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    again = obverse.resume(copy)
    assert again.metrics == run.metrics
    assert "the run is finished; nothing was changed" in again.messages
    more = obverse.train(run, more_epochs=1, run=tmp_path / "more", lr=0.001)
    assert load_recipe(str(more.path / "recipe.yaml")).parent.run == str(run.path.resolve())


def test_settings_of_all_kinds(data, make_recipe, tmp_path):
    run = obverse.train(
        str(data),
        make_recipe(),
        run=str(tmp_path / "run"),
        settings={"optim.lr": 0.02, "data.size": {"height": 8, "width": 12}, "evaluation": {"maps": 0}},
        epochs=1,
        device="cpu",
        seed=3,
    )
    recipe = load_recipe(str(run.path / "recipe.yaml"))
    assert (recipe.optim.lr, recipe.data.size.height, recipe.data.size.width) == (0.02, 8, 12)
    assert (recipe.training.epochs, recipe.training.seed, recipe.evaluation.maps) == (1, 3, 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epoch": 3}, "no option `epoch` .did you mean `epochs`"),
        ({"epochs": 3, "settings": {"training.epochs": 4}}, "contradict each other"),
        ({"settings": {"optim.lr": object()}}, "the setting optim.lr="),
        ({"settings": {"optim.rate": 1}}, "optim"),
        ({"size": "3x"}, "WIDTHxHEIGHT"),
        ({"recipe": "nonsense"}, "no recipe `nonsense`"),
        ({"more_epochs": 2, "epochs": 3}, "leave out --epochs"),
        ({"device": "gpu"}, "device"),
    ],
)
def test_what_train_refuses(data, tmp_path, options, words):
    with pytest.raises(obverse.ObverseError, match=words) as refusal:
        obverse.train(data, run=tmp_path / "run", **options)
    assert refusal.value.exit_code == 2
    assert not (tmp_path / "run").exists()


def test_what_the_others_refuse(data, run, tmp_path):
    with pytest.raises(obverse.ObverseError, match="does not exist"):
        obverse.check(tmp_path / "absent")
    with pytest.raises(obverse.ObverseError, match="only fields of `data`"):
        obverse.check(data, settings={"optim.lr": 1})
    with pytest.raises(obverse.ObverseError, match="no option `label`"):
        obverse.check(data, label="kind")
    with pytest.raises(obverse.ObverseError, match="at least two runs"):
        obverse.compare(run)
    with pytest.raises(obverse.ObverseError, match="given twice"):
        obverse.compare(run, run.path)
    with pytest.raises(obverse.ObverseError, match="no split"):
        obverse.evaluate(run, split="tests")
    with pytest.raises(obverse.ObverseError, match="absent"):
        obverse.load(tmp_path / "absent")
    with pytest.raises(obverse.ObverseError, match="first"):
        obverse.train(data, run=run)


def test_a_launcher_of_several_processes_is_refused(data, run, monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(obverse.ObverseError, match="torchrun -m obverse train"):
        obverse.train(data)
    with pytest.raises(obverse.ObverseError, match="one process"):
        obverse.resume(run)


def test_a_recipe_with_settings_from_a_name_or_a_file(tmp_path):
    assert obverse.load_recipe("auto", {"optim.lr": 1e-3, "data": {"layout": "table"}}).data.layout == "table"
    path = tmp_path / "mine.yaml"
    path.write_text("extends: auto\ntraining: {epochs: 7}\n", encoding="utf-8")
    assert obverse.load_recipe(path).training.epochs == 7
    with pytest.raises(obverse.ObverseError, match=r"no recipe `.*gone\.yaml`: not a file"):
        obverse.load_recipe(tmp_path / "gone.yaml")
    with pytest.raises(obverse.ObverseError, match="write a mapping"):
        obverse.load_recipe("auto", ["optim.lr=1e-3"])
    with pytest.raises(obverse.ObverseError, match="say auto, cpu, cuda, cuda:N or mps"):
        obverse.load_recipe("auto", {"runtime.device": "gpu"})


def test_a_check_takes_a_section_as_training_does(data):
    assert obverse.check(data, settings={"data": {"layout": "class-folders"}}).counts["error"] == 0


def test_names_and_options_can_be_looked_up():
    assert [name for name in dir(obverse) if not name.startswith("__")] == sorted(
        set(obverse.__all__) - {"__version__"}
    )
    parameters = inspect.signature(obverse.train).parameters
    assert {"epochs", "size", "layout"} <= set(parameters)
    assert "options" not in parameters
    assert "label_column" in inspect.signature(obverse.check).parameters


def test_a_file_of_a_bundle_and_a_url_are_named_as_what_they_are(run):
    with pytest.raises(obverse.ObverseError, match=r"is a file of a bundle; give its folder"):
        obverse.load(run.path / "bundle" / "model.json")
    with pytest.raises(obverse.ObverseError, match=r"'http://localhost/a\.png' is a URL"):
        obverse.load(run).predict("http://localhost/a.png")
    (same,) = obverse.compare(run, shutil.copytree(run, run.path.parent / "twin")).sentences[-1:]
    assert same == "Both are right on the same samples"
