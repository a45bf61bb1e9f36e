"""The comparison as a whole, from a folder of pictures to the table, in Python and on the command line."""

import itertools
import json
import math
import os
import re
from collections import Counter

import pytest
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import obverse
from obverse.cli.main import app
from obverse.errors import DataError, RecipeError, UnavailableError
from obverse.manifest import build_index, fold_of_each
from obverse.probing.views import as_trained
from obverse.recipe import load_recipe

QUIET = {"settings": {"runtime.num_threads": 1}, "device": "cpu", "progress": False}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own."""
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path, cache, draw_classes):
    """Forty pictures of two classes."""
    return draw_classes(tmp_path / "data", per_class=20)


def test_table_of_one_backbone_at_two_sizes(folder, vit_weights, tmp_path):
    result = obverse.probe(folder, model="test_vit", weights=vit_weights, size=[32, 48], out=tmp_path / "out", **QUIET)
    assert {(row.size, row.head) for row in result.rows} == {
        (size, head) for size in ("32", "48") for head in ("logistic", "nearest neighbours", "class means")
    }
    values = [row.quality.value for row in result.rows]
    assert result.metric.name == "accuracy"
    assert not any("without a picture" in line for line in result.sentences)
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.9 > result.chance.quality.value
    assert result.best.quality.low < values[0] <= result.best.quality.high
    assert result.commands[0] == f"obverse train {folder} --model test_vit --weights {vit_weights} --size " + (
        f"{result.best.size} --set runtime.num_threads=1 --device cpu"
    )
    written = json.loads((tmp_path / "out" / "probe.json").read_text())
    assert [row["accuracy"]["value"] for row in written["rows"][:-1]] == values
    assert written["sentences"] == result.sentences
    assert len((tmp_path / "out" / "probe.csv").read_text().splitlines()) == 1 + len(values) + 1
    assert "nearest neighbours" in (tmp_path / "out" / "report.html").read_text()


def test_test_pictures_are_not_decoded(folder, vit_weights, monkeypatch):
    from obverse.data.originals import Originals

    decoded, decode = set(), Originals.decode

    def watched(self, index, view, **sizes):
        decoded.add(self._samples[index].id)
        return decode(self, index, view, **sizes)

    monkeypatch.setattr(Originals, "decode", watched)
    result = obverse.probe(folder, model="test_vit", weights=vit_weights, size=32, **QUIET)
    assert len(decoded) == result.num_samples == 34
    assert len(set(folder.rglob("*.png"))) == 40


def test_ordered_classes_are_judged_by_mean_absolute_error_and_several_views_in_every_way(
    tmp_path, cache, vit_weights, draw_classes
):
    data = draw_classes(tmp_path / "coins", classes=("F-12", "VF-20", "XF-40"), per_class=8, views=("front", "back"))
    result = obverse.probe(data, model="test_vit", weights=vit_weights, size=32, **QUIET)
    assert (result.metric.name, result.second.name) == ("mean_absolute_error", "accuracy")
    assert {row.views for row in result.rows} == {"together", "averaged", "front", "back"}
    assert {"SORD", "ridge-ordinal"} <= {row.head for row in result.rows}
    assert result.best.quality.value < result.chance.quality.value
    averaged = next(row for row in result.rows if row.views == "averaged")
    assert averaged.arguments[-2:] == ("--set", "model.fusion.kind=average")
    alone = next(row for row in result.rows if row.views == "back")
    assert alone.arguments[-2:] == ("--set", "data.views=[back]")
    options = [value for name, value in itertools.pairwise(alone.arguments) if name == "--set"]
    assert build_index(data, load_recipe("auto", options).data).manifest.views == ("back",)


def test_names_of_views_are_quoted_where_yaml_reads_something_else():
    spec = load_recipe("auto").data
    for name in ("3", "true", "a, b", "été", "side-1"):
        _, setting = as_trained(name, spec, (name, "back"))
        assert load_recipe("auto", [setting]).data.views == (name,)
    assert as_trained("r1c1", load_recipe("auto", ["data.tiles={rows: 1, columns: 2}"]).data, ("r1c1", "r1c2")) == ()


def test_a_best_row_within_chance_is_said(folder, vit_weights):
    """The same pictures with classes that have nothing to do with them."""
    for number, path in enumerate(sorted(folder.rglob("*.png"))):
        path.rename(path.parents[1] / sorted(folder.iterdir())[number % 2].name / f"x{number}.png")
    result = obverse.probe(folder, model="test_vit", weights=vit_weights, size=32, **QUIET)
    assert result.best.quality.low < result.chance.quality.value
    assert sum("no better than the answer without a picture" in line for line in result.sentences) == 1


def test_label_sets_are_judged_by_mean_average_precision(tmp_path, cache, vit_weights, draw_label_sets):
    data = draw_label_sets(tmp_path / "sets", num=40)
    options = {**QUIET, "settings": {"runtime.num_threads": 1, "data.labels": "multi"}}
    result = obverse.probe(
        data / "list.csv" if data.is_dir() else data, model="test_vit", weights=vit_weights, size=32, **options
    )
    assert result.metric.name == "map"
    assert {row.head for row in result.rows} == {"logistic per label", "nearest neighbours"}
    assert result.best.quality.value > result.chance.quality.value


def test_of_larger_data_a_part_is_taken_and_said(folder, vit_weights):
    result = obverse.probe(folder, model="test_vit", weights=vit_weights, size=32, samples=20, folds=3, **QUIET)
    assert result.num_samples == 17
    assert "measured on 17 of 34 samples" in result.sentences[-1]


def test_extra_columns_are_named_as_unused(folder, vit_weights):
    rows = [
        f"{path.parent.name},{path.relative_to(folder)},{n}" for n, path in enumerate(sorted(folder.rglob("*.png")))
    ]
    table = folder / "table.csv"
    table.write_text("\n".join(["label,image,year", *rows]) + "\n")
    options = {**QUIET, "settings": {"runtime.num_threads": 1, "data.columns": {"year": "number"}}}
    result = obverse.probe(table, model="test_vit", weights=vit_weights, size=32, folds=3, **options)
    assert any("training also uses the columns year" in line for line in result.sentences)


def test_groups_are_not_divided(folder, vit_weights):
    """Ten groups, of which train and val have eight or nine."""
    options = {**QUIET, "settings": {"runtime.num_threads": 1, "data.split.group_by": {"pattern": r"(\d)$"}}}
    result = obverse.probe(folder, model="test_vit", weights=vit_weights, size=32, folds=4, **options)
    assert result.best.quality.value > 0.9
    with pytest.raises(DataError, match="fewer groups of samples than the 10 folds"):
        obverse.probe(folder, model="test_vit", weights=vit_weights, size=32, folds=10, **options)


def test_folds_are_stratified_and_keep_groups(folder):
    spec = load_recipe("auto", ["data.split.group_by={pattern: '(\\d)$'}"]).data
    samples = build_index(folder, spec).manifest.samples
    folds = fold_of_each(samples, spec.split, 5)
    assert len(set(zip(samples.groups, folds, strict=True))) == len(set(samples.groups)) == 10
    assert set(Counter(zip(samples.labels, folds, strict=True)).values()) == {4}


def test_a_backbone_that_cannot_be_used_is_left_out(folder, vit_weights, tmp_path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights")
    result = obverse.probe(folder, model="test_vit", weights=[broken, vit_weights], size=32, **QUIET)
    assert "left out" in result.sentences[-1]
    assert "broken.safetensors" in result.sentences[-1]
    with pytest.raises(DataError, match="not a weight file"):
        obverse.probe(folder, model="test_vit", weights=broken, size=32, **QUIET)


@pytest.mark.parametrize(
    ("value", "fault"), [(math.nan, r"its tensor blocks\.0\.attn\.qkv\.weight holds NaN"), (1e38, "NaN or infinite")]
)
def test_weights_that_give_no_numbers_are_left_out(folder, vit_weights, tmp_path, value, fault):
    state, broken = load_file(vit_weights), tmp_path / "broken.safetensors"
    state["blocks.0.attn.qkv.weight"].fill_(value)
    save_file(state, broken)
    result = obverse.probe(folder, model="test_vit", weights=[broken, vit_weights], size=32, **QUIET)
    assert {row.backbone for row in result.rows} == {"test_vit (test_vit.safetensors)"}
    assert re.search(rf"broken\.safetensors\) is left out: .*{fault}", result.sentences[-1])
    with pytest.raises(DataError, match=fault):
        obverse.probe(folder, model="test_vit", weights=broken, size=32, **QUIET)


def test_errors_before_any_work(folder, tmp_path, vit_weights, draw_classes):
    with pytest.raises(RecipeError, match="has no weights"):
        obverse.probe(folder, model="convnet", **QUIET)
    with pytest.raises(UnavailableError, match="no file"):
        obverse.probe(folder, model="test_vit", weights=tmp_path / "absent.pth", **QUIET)
    one = draw_classes(tmp_path / "one", classes=("only",))
    with pytest.raises(DataError, match="class"):
        obverse.probe(one, model="test_vit", weights=vit_weights, **QUIET)


def test_command_prints_table_and_what_to_train(folder, vit_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = os.path.relpath(vit_weights)
    arguments = [
        "probe",
        str(folder),
        "--model",
        "test_vit",
        "--weights",
        weights,
        "--size",
        "32,48",
        "--device",
        "cpu",
    ]
    result = CliRunner().invoke(app, [*arguments, "--set", "runtime.num_threads=1"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "class frequencies" in result.output
    assert "train: obverse train" in result.output
    assert (tmp_path / "probes" / "data" / "probe.csv").is_file()


def test_without_weights_one_sentence_says_how_to_give_them(folder):
    with pytest.raises(UnavailableError, match="--weights") as error:
        obverse.probe(folder, **QUIET)
    assert error.value.exit_code == 69
