"""`obverse explain`, and the maps in a run's report."""

import csv
import json
import shutil

import numpy as np
from PIL import Image

D7 = (
    "predictions.npy",
    "true_labels.npy",
    "names.json",
    "results.csv",
    "embeddings.npy",
    "summary.md",
    "attention_maps",
)


def index_of(folder):
    with (folder / "maps.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_result_set_of_d7_is_complete(obverse, coins_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(coins_run, run)
    assert obverse("export", run, "--format", "pth").code == 0
    test = run / "evaluation/test"
    assert [name for name in D7 if not (test / name).exists()] == []
    assert (run / "config.json").is_file()
    assert (run / "training_log.json").is_file()
    assert (run / "bundle/best_model.pth").is_file()
    ids, labels = json.loads((test / "ids.json").read_text()), np.load(test / "true_labels.npy")
    assert len(np.load(test / "embeddings.npy")) == len(ids) == len(labels) == len(np.load(test / "predictions.npy"))


def test_the_maps_of_a_run_belong_to_rows_of_its_arrays(coins_run):
    for split in ("val", "test"):
        folder = coins_run / "evaluation" / split
        ids, names = (json.loads((folder / f"{name}.json").read_text()) for name in ("ids", "names"))
        answers, labels = np.load(folder / "predictions.npy"), np.load(folder / "true_labels.npy")
        probabilities = np.load(folder / "probabilities.npy")
        rows = index_of(folder / "attention_maps")
        assert len(rows) == 2
        is_right = [drawn["label"] == drawn["predicted"] for drawn in rows]
        assert is_right == sorted(is_right)  # mistakes first
        for drawn in rows:
            row = int(drawn["row"])
            assert drawn["file"] == f"{row:06d}.png"
            assert drawn["id"] == ids[row]
            assert drawn["label"] == names["classes"][labels[row]]
            assert drawn["predicted"] == names["classes"][answers[row]]
            assert abs(float(drawn["probability"]) - probabilities[row, answers[row]]) < 1e-4
            assert drawn["methods"] == "layer-cam"
            assert drawn["explained"] == drawn["predicted"]
            with Image.open(folder / "attention_maps" / drawn["file"]) as picture:
                assert picture.width > 2 * 200
        assert "Where the model looks" in (folder / "summary.md").read_text()
        assert "attention_maps/overview.png" in (folder / "summary.md").read_text()
        page = (folder / "report.html").read_text()
        assert "Where the model looks</h2>" in page
        assert 'alt="Pictures of 2 samples, each beside its maps."' in page


def test_explain_draws_one_picture_per_sample(obverse, shapes, shapes_run, tmp_path):
    out = tmp_path / "maps"
    result = obverse("explain", shapes_run, shapes / "sample.jpg", shapes / "star", "--out", out)
    assert result.code == 0, result.err
    rows = index_of(out)
    assert [row["id"] for row in rows[:1]] == [str(shapes / "sample.jpg")]
    assert len(rows) == 1 + len(list((shapes / "star").iterdir())) == len(result.out.splitlines())
    predicted = obverse("predict", shapes_run, shapes / "sample.jpg", "--format", "json").out
    assert rows[0]["predicted"] == json.loads(predicted)[0]["label"]
    assert {path.name for path in out.iterdir()} == {*(row["file"] for row in rows), "maps.csv", "overview.png"}


def test_explaining_again_replaces_the_maps_and_nothing_else(obverse, shapes, shapes_run, refused, tmp_path):
    out = tmp_path / "maps"
    assert obverse("explain", shapes_run, shapes / "star", "--out", out).code == 0
    (out / "notes.txt").write_text("mine")
    assert obverse("explain", shapes_run, shapes / "sample.jpg", "--out", out).code == 0
    assert {path.name for path in out.iterdir()} == {"000000.png", "maps.csv", "overview.png", "notes.txt"}
    refused(65, "cannot be read", "explain", shapes_run, out / "notes.txt", "--out", out, untouched=out)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    refused(73, "holds no maps", "explain", shapes_run, shapes / "sample.jpg", "--out", mine, untouched=mine)
    # A table of the user's may have the same name and a column of that name.
    (mine / "maps.csv").write_text("file,label\nnotes.txt,mine\n")
    refused(73, "holds no maps", "explain", shapes_run, shapes / "sample.jpg", "--out", mine, untouched=mine)
    (mine / "maps.csv").write_text("name\nnotes.txt\n")
    refused(73, "holds no maps", "explain", shapes_run, shapes / "sample.jpg", "--out", mine, untouched=mine)


def test_what_ended_early_can_be_done_again(obverse, shapes, shapes_run, refused, tmp_path):
    pictures, out = tmp_path / "pictures", tmp_path / "maps"
    shutil.copytree(shapes / "star", pictures)
    spoilt = sorted(pictures.iterdir())[2]
    whole = spoilt.read_bytes()
    spoilt.write_bytes(b"no picture")
    refused(65, spoilt.name, "explain", shapes_run, pictures, "--out", out)
    assert len(index_of(out)) == 2
    spoilt.write_bytes(whole)
    assert obverse("explain", shapes_run, pictures, "--out", out).code == 0
    assert len(index_of(out)) == len(list(pictures.iterdir()))


def test_views_are_given_as_for_predict(obverse, coins, coins_run, refused, tmp_path):
    picture = next(coins.glob("*/reverse/*"))
    result = obverse("explain", coins_run, "--view", f"reverse={picture}", "--out", tmp_path / "out")
    assert result.code == 0, result.err
    refused(65, "--view obverse=FILE", "explain", coins_run, picture, "--out", tmp_path / "other")
    refused(2, "nothing to predict", "explain", coins_run)


def test_another_method_and_another_class(obverse, coins_run, coins, refused, tmp_path):
    views = [f"--view={view}={next(coins.glob(f'*/{view}/*'))}" for view in ("obverse", "reverse")]
    classes = json.loads((coins_run / "evaluation/test/names.json").read_text())["classes"]
    out = tmp_path / "maps"
    result = obverse("explain", coins_run, *views, "--method", "occlusion", "--label", classes[0], "--out", out)
    assert result.code == 0, result.err
    (row,) = index_of(out)
    assert (row["methods"], row["explained"]) == ("occlusion", classes[0])
    first, heading, *of_views = result.out.splitlines()
    assert row["predicted"] in first
    assert heading.strip().startswith(f"{classes[0]} ")
    assert [line.split(":")[0].strip() for line in of_views] == ["obverse", "reverse"]
    assert all("points; alone" in line and "without it" in line for line in of_views)
    refused(2, "did you mean `occlusion`", "explain", coins_run, *views, "--method", "oclusion", untouched=out)
    refused(2, "the model has no class `XXL`", "explain", coins_run, *views, "--label", "XXL", "--out", out)
    refused(2, "no `rollout` map, because its tokens", "explain", coins_run, *views, "--method", "rollout",
            "--out", out, untouched=out)  # fmt: skip
    (tmp_path / "dot.png").write_bytes(b"")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    dot = obverse("explain", coins_run, f"--view=obverse={tmp_path / 'dot.png'}", "--out", out)
    assert dot.code == 0, dot.err
    assert "points" not in dot.out  # one view has no influence to share


def test_similar_training_pictures_have_their_labels(obverse, shapes, shapes_run, refused, tmp_path):
    with (shapes_run / "manifest.csv").open(newline="", encoding="utf-8") as file:
        train = {row["id"]: row["label"] for row in csv.DictReader(file) if row["split"] == "train"}
    name = next(name for name in train if name.startswith("star/"))
    asked = ["explain", shapes_run, shapes / name, "--similar", "3", "--out", tmp_path / "maps"]
    result = obverse(*asked)
    assert result.code == 0, result.err
    similar = [line.split() for line in result.out.splitlines() if line.strip().startswith("similar")]
    assert len(similar) == 3
    assert similar[0] == ["similar", "1.000:", "star", name]  # the picture itself
    assert all(train[found] == label for _, _, label, found in similar)
    refused(65, "does not exist", "explain", tmp_path / "none", shapes / name, "--similar", "1")
    refused(2, "bundle without its run", "explain", shapes_run / "bundle", shapes / name, "--similar", "1")


def test_no_maps_where_none_are_wanted(obverse, classes, tiny, tmp_path):
    result = obverse("train", classes(tmp_path / "d"), "--run", tmp_path / "run", *tiny, "--set", "evaluation.maps=0")
    assert result.code == 0, result.err
    assert not (tmp_path / "run/evaluation/test/attention_maps").exists()
    assert "Where the model looks" not in (tmp_path / "run/evaluation/test/summary.md").read_text()
