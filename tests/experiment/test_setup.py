"""One call makes what training needs, and only `prepare_process` sets up the process."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
import torch

import obverse
from obverse.experiment.auto import resolve
from obverse.experiment.setup import set_up
from obverse.manifest import build_index


@pytest.fixture
def resolved(draw_classes, make_recipe, tmp_path):
    recipe = make_recipe(runtime={"num_threads": 2, "matmul": "medium"}, model={"head": {"dropout": 0.5}})
    index = build_index(draw_classes(tmp_path), recipe.data)
    return resolve(recipe, index).recipe, index.manifest


def test_a_setup_is_a_value(resolved):
    setup = set_up(*resolved)
    with pytest.raises(FrozenInstanceError):
        setup.recipe = resolved[0]
    assert set(setup.caches) == {"train", "val"}
    assert len(setup.loaders().train) > 0


def test_the_process_is_as_the_recipe_says_and_the_weights_are_the_same_again(resolved):
    first = set_up(*resolved).model.state_dict()
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (2, "medium")
    torch.manual_seed(99)
    again = set_up(*resolved).model.state_dict()
    torch.testing.assert_close(again, first, atol=0, rtol=0)


def test_threads_and_seeds_of_a_run_are_set_in_one_place():
    """The workers that load pictures are processes with a thread each; `serve` and `bench` are no runs.

    What measures whether threads help gives their number back.
    """
    places = {
        (word, path.relative_to(Path(obverse.__file__).parent).as_posix())
        for path in Path(obverse.__file__).parent.rglob("*.py")
        for word in ("set_num_threads(", "seed_torch(")
        if word in path.read_text(encoding="utf-8").replace("def seed_torch(", "")
    }
    others = {"data/loader.py", "cli/models/serve.py", "planning/bench.py", "runtime/busy.py"}
    setters = {("set_num_threads(", path) for path in {"experiment/process.py", *others}}
    assert places == setters | {("seed_torch(", "experiment/process.py")}
