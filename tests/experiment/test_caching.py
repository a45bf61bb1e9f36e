"""Which cache is chosen, where it lies, and that no exact cache changes a weight."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from obverse.data.originals import Originals
from obverse.errors import RecipeError
from obverse.experiment import evaluate_run, start_run
from obverse.experiment.auto.caching import cache_root, choose_cache
from obverse.recipe import CacheSpec, load_recipe
from obverse.runs import Message, RunFolder

PHOTO, SMALL, WORKING = (3000, 4000), (230, 230), (224, 224)
GIGABYTE = 3 * 224 * 224 / 1e9


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "cache"))


def test_memory_when_it_fits():
    spec = CacheSpec(memory_gigabytes=10 * GIGABYTE)
    assert choose_cache(spec, [PHOTO] * 10, WORKING)[0].kind == "memory"
    assert choose_cache(spec, [SMALL] * 11, WORKING) == (CacheSpec(kind="none"), None)


def test_raw_when_the_originals_are_much_larger_and_the_disk_budget_allows(tmp_path):
    spec = CacheSpec(memory_gigabytes=0, disk_gigabytes=10 * GIGABYTE, folder=str(tmp_path))
    chosen, reason = choose_cache(spec, [PHOTO] * 10, WORKING)
    assert (chosen, reason) == (CacheSpec(kind="raw", disk_gigabytes=10 * GIGABYTE, folder=str(tmp_path)), None)
    chosen, reason = choose_cache(spec, [PHOTO] * 11, WORKING)
    assert chosen.kind == "none"
    assert "data.cache.kind=raw data.cache.disk_gigabytes=1, or set data.cache.kind=jpeg" in reason


def test_auto_leaves_half_of_the_disk_free(monkeypatch):
    spec = CacheSpec(memory_gigabytes=0)
    monkeypatch.setattr("obverse.experiment.auto.caching.shutil.disk_usage", lambda path: SimpleNamespace(free=1e6))
    assert choose_cache(spec, [PHOTO] * 3, WORKING)[0].kind == "raw"
    assert choose_cache(spec, [PHOTO] * 4, WORKING)[0].kind == "none"


@pytest.mark.parametrize(
    ("kind", "field", "share"),
    [("memory", "memory_gigabytes", 1), ("raw", "disk_gigabytes", 1), ("jpeg", "disk_gigabytes", 0.2)],
)
def test_a_kind_that_was_asked_for_and_does_not_fit_is_an_error(kind, field, share):
    def spec(budget):
        return CacheSpec(kind=kind, **{field: budget})

    with pytest.raises(RecipeError, match=f"set data.cache.{field}=1"):
        choose_cache(spec(9 * GIGABYTE * share), [SMALL] * 10, WORKING)
    assert choose_cache(spec(10 * GIGABYTE * share), [SMALL] * 10, WORKING)[0].kind == kind


@pytest.mark.parametrize(
    "settings",
    [
        "{kind: none, folder: x}",
        "{kind: memory, disk_gigabytes: 3}",
        "{kind: raw, memory_gigabytes: 3}",
        "{kind: none, memory_gigabytes: 1}",
    ],
)
def test_a_field_without_effect_is_an_error(settings):
    with pytest.raises(RecipeError, match="has no effect with `kind"):
        load_recipe("auto", [f"data.cache={settings}"])


def test_where_it_lies(monkeypatch):
    assert cache_root(CacheSpec(folder="/x/y")) == Path("/x/y")
    monkeypatch.setenv("OBVERSE_CACHE", "/o")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_root(CacheSpec()) == Path("/o")
    monkeypatch.delenv("OBVERSE_CACHE")
    assert cache_root(CacheSpec()) == Path("/x/obverse")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root(CacheSpec()) == Path.home() / ".cache" / "obverse"


class Listener:
    def __init__(self):
        self.lines = []

    def notify(self, event):
        if isinstance(event, Message):
            self.lines.append(event.text)

    def close(self):
        pass


@pytest.fixture(scope="module")
def photos(tmp_path_factory, draw_classes):
    """JPEGs that are larger than needed, so that decoding is scaled."""
    root = draw_classes(tmp_path_factory.mktemp("photos"), per_class=8, size=(90, 120), views=("obverse", "reverse"))
    for path in sorted(root.rglob("*.png")):
        Image.open(path).save(path.with_suffix(".jpg"), quality=92)
        path.unlink()
    return root


@pytest.fixture
def train(photos, make_recipe, tmp_path):
    def run(kind, *, margin=1.25, name="", **data):
        recipe = make_recipe(
            data={"size": {"height": 16, "width": 16}, "cache": {"kind": kind}, **data},
            augment={"policy": "no-mirror", "margin": margin},
        )
        heard = Listener()
        folder = RunFolder(tmp_path / f"run-{kind}{name}")
        start_run(photos, recipe, folder, observers=[heard])
        return folder, heard.lines

    return run


def weights(run):
    return (run.bundle / "model.safetensors").read_bytes()


def test_raw_memory_and_no_cache_end_with_equal_weights(train, tmp_path):
    runs = {kind: train(kind) for kind in ("none", "memory", "raw")}
    assert weights(runs["raw"][0]) == weights(runs["memory"][0]) == weights(runs["none"][0])
    (train_line, val_line) = [line for line in runs["raw"][1] if line.startswith("cache: ")]
    assert f"raw in '{tmp_path / 'cache' / 'pixels'}/" in train_line
    assert "made in" in val_line
    assert not any(line.startswith("cache: ") for line in runs["memory"][1])


def test_a_second_run_and_evaluation_find_the_pixels(train, photos, tmp_path):
    run, _ = train("raw", margin=1.0)
    _, lines = train("raw", margin=1.0, name="-again")
    assert [line for line in lines if line.startswith("cache: ") and "made in" in line] == []
    before = sorted((tmp_path / "cache").rglob("*.pixels"))
    evaluate_run(run.path, split="train", out=tmp_path / "out")
    assert sorted((tmp_path / "cache").rglob("*.pixels")) == before


def test_jpeg_serves_training_only(train, tmp_path):
    run, lines = train("jpeg")
    assert len([line for line in lines if line.startswith("cache: ")]) == 1
    assert weights(run) != weights(train("none")[0])


def test_full_decoding_gives_other_pixels_than_scaled(train):
    assert weights(train("none", decode="full", name="-full")[0]) != weights(train("none")[0])


def test_the_model_sees_val_once_and_train_once_more_after_the_training(photos, make_recipe, monkeypatch, tmp_path):
    """Decodings for the model: train again for the outlier score and its accuracy together, val not for its report."""
    counts, decode = Counter(), Originals.decode

    def counted(originals, index, view, **sizes):
        sample = originals._samples[index]
        counts[sample.split, sample.id, view] += sizes["min_width"] < 96  # thumbnails are larger
        return decode(originals, index, view, **sizes)

    monkeypatch.setattr(Originals, "decode", counted)
    recipe = make_recipe(data={"cache": {"kind": "memory"}}, evaluation={"maps": 0})
    start_run(photos, recipe, RunFolder(tmp_path / "run"))
    assert {(split, count) for (split, _, _), count in counts.items()} == {("train", 2), ("val", 1), ("test", 1)}
