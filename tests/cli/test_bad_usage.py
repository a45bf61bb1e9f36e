"""Commands and recipes that make no sense: exit 2 and one clear message."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("trian",), "Did you mean 'train'"),
        (("train", "--epoch", "3"), "No such option"),
        (("predict",), "Missing argument"),
        (("predict", "run", "--top-k", "0"), "'--top-k'"),
        (("predict", "run", "x.jpg", "--format", "xml"), "'--format'"),
        (("sample", "animals", "x"), "animals"),
        (("sample", "coins", "x", "--samples", "many"), "'--samples'"),
    ],
)
def test_usage_that_the_parser_refuses(obverse, arguments, words):
    result = obverse(*arguments)
    assert result.code == 2
    assert words in result.err
    assert sum(line.startswith("Error: ") for line in result.err.splitlines()) == 1
    assert "Traceback" not in result.err


def test_no_verb_shows_the_help(obverse):
    result = obverse()
    assert result.code == 2
    assert "predict" in result.out + result.err


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("trainig.epochs=3", "did you mean `training`?"),
        ("training.epoch=3", "did you mean `epochs`?"),
        ("training.epochs=true", "`training.epochs`"),
        ('training.epochs="10"', "`training.epochs`"),
        ("training.epochs=-1", "`training.epochs`"),
        ("training.epochs", "write it as section.field=value"),
        ("=3", "write it as section.field=value"),
        ("training..epochs=3", "write it as section.field=value"),
        ("data.size={height: 16", "not valid YAML"),
        ("optim.lr=nan", "`optim.lr`"),
        ("model.backbone={kind: resnet}", "model.backbone"),
    ],
)
def test_settings(refused, shapes, tmp_path, setting, words):
    refused(2, words, "train", shapes, "--run", tmp_path / "run", "--set", setting)
    assert not (tmp_path / "run").exists()


def test_an_unknown_recipe_name(refused, shapes, tmp_path):
    result = refused(2, "no recipe `fintune`", "train", shapes, "--recipe", "fintune", "--run", tmp_path / "run")
    assert "did you mean `finetune`?" in result.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"training: {epoch: 3}", "did you mean `epochs`?"),
        (b"- a list", "key: value"),
        (b"a: [", "not valid YAML"),
        (b"name: x\nname: y", "written twice"),
        (b"extends: absent.yaml", "no recipe `absent.yaml`"),
    ],
)
def test_a_recipe_file(refused, shapes, tmp_path, content, words):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_bytes(content)
    refused(2, words, "train", shapes, "--recipe", recipe, "--run", tmp_path / "run", untouched=tmp_path)


def test_train_without_data(refused):
    refused(2, "obverse train DATA", "train")


def test_an_unknown_recipe_to_show(refused):
    refused(2, "did you mean `finetune`?", "recipes", "fintune")


def test_an_unknown_split(refused, shapes_run):
    refused(2, "no split `tset`", "evaluate", shapes_run, "--split", "tset", untouched=shapes_run)


def test_a_bundle_without_its_run_needs_data_and_out(refused, shapes_run):
    refused(2, "give --data DATA and --out FOLDER", "evaluate", shapes_run / "bundle", untouched=shapes_run)


@pytest.mark.parametrize("verb", ["train", "predict", "evaluate"])
def test_a_device_that_is_not_there(refused, shapes, shapes_run, tmp_path, verb):
    arguments = {
        "train": ("train", shapes, "--run", tmp_path / "run"),
        "predict": ("predict", shapes_run, shapes / "sample.jpg"),
        "evaluate": ("evaluate", shapes_run),
    }[verb]
    refused(69, "device `cuda:99` is not there", *arguments, "--device", "cuda:99", untouched=shapes_run)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("verb", ["train", "predict", "evaluate"])
def test_a_device_that_is_no_device(obverse, shapes_run, verb):
    result = obverse(verb, shapes_run, "--device", "gpu")
    assert result.code == 2
    assert "no device `gpu`; choose auto, cpu, cuda, cuda:N or mps" in " ".join(result.err.split())
