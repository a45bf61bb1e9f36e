"""Training with mixing: workers, accumulation and resuming change nothing, and mixing changes something."""

import pytest
import torch

from obverse.errors import Interrupted, RecipeError
from obverse.recipe import load_recipe
from obverse.runs.checkpoint import load_newest

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
BOTH = {"mixup": 0.8, "cutmix": 1.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    return draw_classes(tmp_path_factory.mktemp("data"), per_class=14, views=("obverse", "reverse"))


@pytest.fixture
def train(data, make_recipe, make_trainer, tmp_path):
    """Weights after three epochs; a run that is stopped after a step goes on in a new trainer."""

    def run(mixing=BOTH, *, workers=0, micro=4, stop=None):
        recipe = make_recipe(
            augment={"policy": "no-mirror", "view_dropout": 0.3},
            mixing=mixing,
            loss={"label_smoothing": 0.1},
            optim={"kind": "sgd", "lr": 0.05},  # adam turns a rounding error into a step
            training={"epochs": 3, "batch_size": 4, "micro_batch_size": micro},
            model={"backbone": {"kind": "vgg", "num_blocks": 4, "pool": "mean"}, "head": {"hidden": [6]}},
            runtime={"num_workers": workers},
        )
        folder = tmp_path / f"{len(mixing)}-{workers}-{micro}-{stop}"
        trainer = make_trainer(
            data, recipe, folder, wanted_signal=lambda: 15 if trainer.progress.step == stop else None
        )
        if stop is not None:
            with pytest.raises(Interrupted):
                list(trainer.run())
            trainer = make_trainer(data, recipe, folder)
            trainer.restore(load_newest(folder)[0])
        list(trainer.run())
        return trainer.model.state_dict()

    return run


def test_mixing_changes_the_weights(train):
    one, other = train(), train({})
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("how", [{"workers": 2}, {"stop": 3}, {"stop": 7, "workers": 1}])
def test_workers_and_resuming_change_nothing(train, how):
    torch.testing.assert_close(train(**how), train(), atol=0, rtol=0)


def test_accumulation_mixes_the_same_pairs(train):
    torch.testing.assert_close(train(micro=2), train(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("field", ["batch_size", "micro_batch_size"])
def test_odd_batches_are_refused(field):
    with pytest.raises(RecipeError, match=f"training.{field} must be even, not 3"):
        load_recipe("auto", ["mixing.cutmix=1.0", f"training.{field}=3"])
    load_recipe("auto", [f"training.{field}=3"])
