"""`train RUN --more-epochs N`."""

from obverse.recipe import load_recipe


def test_a_finished_run_goes_on_in_a_new_one(obverse, shapes_run, tmp_path, tree):
    before = tree(shapes_run)
    result = obverse("train", shapes_run, "--more-epochs", 2, "--run", tmp_path / "more", "--lr", 0.002)
    assert result.code == 0, result.err
    assert tree(shapes_run) == before
    recipe = load_recipe(str(tmp_path / "more/recipe.yaml"))
    assert recipe.parent.run == str(shapes_run.resolve())
    assert (recipe.training.epochs, recipe.optim.lr) == (2, 0.002)
    again = obverse("train", "--resume", "--run", tmp_path / "more")
    assert "the run is finished" in again.err


def test_what_cannot_be(refused, shapes, shapes_run, tmp_path):
    more = ("--more-epochs", 2, "--run", tmp_path / "more")
    refused(2, "leave out --recipe, --size, --epochs", "train", shapes_run, *more, "--recipe", "finetune", "--size", 32,
            "--epochs", 3)  # fmt: skip
    refused(2, "the weights of the run decide that", "train", shapes_run, *more, "--set", "model.head.dropout=0.5")
    refused(2, "contradict each other", "train", shapes_run, *more, "--lr", 1, "--set", "optim.lr=2")
    refused(65, "neither a finished run nor a bundle", "train", shapes, *more)
    refused(2, "leave out --more-epochs", "train", "--resume", *more)
    refused(2, "say what to train on", "train", *more)
    assert not (tmp_path / "more").exists()
