"""The preview shows what training feeds the model, pixel for pixel."""

import numpy as np
import pytest
from PIL import Image

from obverse.data import mix
from obverse.errors import OutputError
from obverse.experiment.preview import GAP, LINE, as_seen, write_preview

VIEWS = ("obverse", "reverse")
SIDE = 16


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    return draw_classes(tmp_path_factory.mktemp("data"), per_class=8, size=(24, 24), views=VIEWS)


def recipe(make_recipe, **sections):
    return make_recipe(**{"augment": {"policy": "generic", "view_dropout": 0.3}, **sections})


def cells(path):
    """(rows, columns, height, width, 3) of the sheet."""
    sheet = np.asarray(Image.open(path))
    num_columns, num_rows = (sheet.shape[1] - GAP) // (SIDE + GAP), (sheet.shape[0] - LINE - GAP) // (SIDE + LINE + GAP)
    tops = [2 * LINE + row * (SIDE + LINE + GAP) for row in range(num_rows)]
    lefts = [GAP + column * (SIDE + GAP) for column in range(num_columns)]
    return np.stack([[sheet[top : top + SIDE, left : left + SIDE] for left in lefts] for top in tops])


@pytest.mark.parametrize("mixing", [{}, {"mixup": 0.8, "cutmix": 1.0}])
def test_every_picture_is_what_a_training_batch_holds(data, make_recipe, make_trainer, tmp_path, mixing):
    chosen = recipe(make_recipe, mixing=mixing)
    path, _ = write_preview(data, chosen, tmp_path)
    shown = cells(path)
    trainer = make_trainer(data, chosen, tmp_path / "checkpoints")
    samples = trainer.loaders.train.dataset.samples
    places = np.linspace(0, len(samples) - 1, shown.shape[0] // 2).round().astype(int).tolist()
    for epoch in range(shown.shape[1] - 1):
        batch = trainer.loaders.train.dataset[[(epoch, place, True) for place in places]]
        if mixing:
            batch = mix(batch, chosen.mixing, num_classes=2, seed=0, epoch=epoch)
        assert np.array_equal(shown[:, epoch + 1], as_seen(batch, trainer.forward).reshape(-1, SIDE, SIDE, 3))


def test_the_first_column_is_what_evaluation_sees(data, make_recipe, make_trainer, tmp_path):
    path, reasons = write_preview(data, recipe(make_recipe), tmp_path)
    trainer = make_trainer(data, recipe(make_recipe), tmp_path / "checkpoints")
    train = trainer.loaders.train.dataset
    sample = train.samples[0]
    expected = train.geometry.fitted(train.originals.store.decode(sample.views["reverse"]))
    assert np.abs(cells(path)[1, 0].astype(int) - expected).max() <= 1
    assert any("augmentation generic" in line for line in reasons)


def test_epochs_differ_and_nothing_of_the_data_changes(data, make_recipe, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    shown = cells(write_preview(data, recipe(make_recipe), tmp_path)[0])
    assert not np.array_equal(shown[:, 1], shown[:, 2])
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before


def test_it_replaces_its_own_sheet_and_no_other_file(data, make_recipe, tmp_path):
    write_preview(data, recipe(make_recipe), tmp_path)
    write_preview(data, recipe(make_recipe), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["preview.png"]
    Image.new("RGB", (4, 4)).save(tmp_path / "preview.png")
    with pytest.raises(OutputError, match="not a preview of an earlier check"):
        write_preview(data, recipe(make_recipe), tmp_path)
