"""Classes that differ by nothing but direction are learned by what is chosen for them."""

import numpy as np
from PIL import Image

from obverse.experiment.auto.resolve import resolve
from obverse.experiment.setup import set_up
from obverse.manifest import build_index
from obverse.recipe import build_recipe
from obverse.runs import EpochEnd
from obverse.training import Trainer

QUICK = {"runtime": {"device": "cpu", "precision": "fp32", "matmul": "highest", "num_threads": 1, "num_workers": 0}}


def test_blocks_on_the_left_and_on_the_right(tmp_path):
    rng = np.random.default_rng(0)
    for name, x in (("k1", 0), ("k2", 16)):
        for number in range(40):
            path = tmp_path / "data" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 60, (24, 24, 3))
            pixels[6:18, x : x + 8] += 180
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    recipe = build_recipe({**QUICK, "training": {"epochs": 12}}, "test")
    index = build_index(tmp_path / "data", recipe.data)
    found = resolve(recipe, index)
    assert [reason for reason in found.reasons if "mirror image (by their pictures)" in reason]
    setup = set_up(found.recipe, index.manifest)
    parts = (setup.engine(), setup.recipe, setup.loaders())
    trainer = Trainer(*parts, objective=setup.objective, checkpoints=tmp_path / "checkpoints")
    last = [event for event in trainer.run() if isinstance(event, EpochEnd)][-1]
    assert last.val_accuracy > 0.9
