"""`obverse suspects` on data, on a run and on a study of folds; its table is what `train --fixes` reads."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

import obverse
from obverse.cli.main import app
from obverse.experiment import evaluate_run
from obverse.manifest import build_index
from obverse.recipe import DataSpec
from obverse.studies.folds import run_folds

THREADS = ("--set", "runtime.num_threads=1", "--device", "cpu")


@pytest.fixture
def mislabelled(tmp_path, monkeypatch, draw_classes, draw_picture):
    """Forty pictures of two classes, and two light ones among the dark."""
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "cache"))
    data = draw_classes(tmp_path / "data", per_class=20)
    for number in (90, 91):
        draw_picture(data / "dark" / f"{number}.png", gray=200, seed=500 + number)
    return data


def verb(*arguments):
    return CliRunner().invoke(app, ["suspects", *map(str, arguments)])


def rows_of(folder):
    with (folder / "suspects.csv").open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_data_with_pretrained_weights(mislabelled, vit_weights, tmp_path):
    out = tmp_path / "out"
    given = (mislabelled, "--model", "test_vit", "--weights", vit_weights, "--size", "32", "--out", out, *THREADS)
    result = verb(*given)
    assert result.exit_code == 0, result.output
    rows = rows_of(out)
    assert {row["id"] for row in rows[:2]} == {"dark/90.png", "dark/91.png"}
    assert {(row["label"], row["new_label"], row["action"]) for row in rows[:2]} == {("dark", "light", "keep")}
    assert re.match(r"frozen features: light \d+ %, dark .*; 10 nearest: \d+ light, \d dark", rows[0]["why"])
    assert "42 samples are judged by a head (logistic) on the frozen features of test_vit" in result.output
    assert f"train: obverse train {mislabelled} --fixes {out / 'suspects.csv'}" in result.output
    page = (out / "suspects.html").read_text()
    assert page.count("<img") >= 8
    assert "://" not in page.replace("http://www.w3.org", "")
    # A person decides, and the edited table is not written over.
    table = out / "suspects.csv"
    table.write_text(table.read_text(encoding="utf-8-sig").replace("light,keep", "light,change"))
    assert verb(*given).exception.exit_code == 73
    labels = build_index(mislabelled, DataSpec(fixes=(str(table),))).manifest.samples
    assert dict(zip(labels.ids, labels.labels, strict=True))["dark/90.png"] == "light"
    assert verb(*given, "--fixes", table, "--force").exit_code == 0
    assert "dark/90.png" not in {row["id"] for row in rows_of(out)}


def test_python_gives_what_the_verb_gives(mislabelled, vit_weights, tmp_path, capsys):
    given = (mislabelled, "--model", "test_vit", "--weights", vit_weights, "--size", "32", "--most", "1", *THREADS)
    out = tmp_path / "out"
    printed = verb(*given, "--out", out).output
    options = {"model": "test_vit", "weights": vit_weights, "size": 32, "most": 1, "device": "cpu",
               "settings": {"runtime.num_threads": 1}}  # fmt: skip
    capsys.readouterr()
    result = obverse.suspects(mislabelled, **options)
    assert capsys.readouterr() == ("", "")
    assert list(result.rows) == rows_of(out)
    assert len(result.rows) == 1
    assert all(sentence in printed for sentence in result.sentences)
    assert (result.table, result.page, result.command) == (None, None, "")
    assert "<td>light</td>" in result._repr_html_()
    written = obverse.suspects(mislabelled, out=tmp_path / "written", **options)
    assert written.table.read_bytes() == (out / "suspects.csv").read_bytes()
    assert written.page.read_bytes() == (out / "suspects.html").read_bytes()
    assert written.command in printed.replace(str(out), str(tmp_path / "written"))
    with pytest.raises(obverse.ObverseError, match="whole number"):
        obverse.suspects(mislabelled, most=0)
    with pytest.raises(obverse.ObverseError, match="no option `epochs`"):
        obverse.suspects(mislabelled, epochs=3)


def test_a_run_without_pretrained_weights_judges_val_and_test_only(trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained.path, run)
    result = verb(run, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "samples are judged by the run (test), which was not trained on them" in result.output
    assert "14 samples are not judged, because the run was trained on them" in result.output
    assert "nearest samples of the same evaluation by the model's embeddings" in result.output
    assert rows_of(run / "suspects") == [] or "picture obverse" in rows_of(run / "suspects")[0]
    refused = verb(run, "--size", "32", "--force")
    assert refused.exception.exit_code == 2
    assert "judged by its own recipe" in str(refused.exception)


def test_folds_judge_every_sample(mislabelled, make_recipe, tmp_path):
    out = tmp_path / "folds"
    run_folds(mislabelled, make_recipe(training={"epochs": 3}, evaluation={"maps": 0}), out, folds=2)
    result = verb(out, "--most", "5", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "42 samples are judged by the model of its fold" in result.output
    rows = rows_of(out / "suspects")
    assert len(rows) <= 5
    scores = np.array([float(row["score"]) for row in rows])
    assert (np.diff(scores) <= 0).all()
    # The report of the folds shows the same ones.
    folder = out / "evaluation/out-of-fold"
    section = (folder / "summary.md").read_text().split("## Suspect labels")[1].split("\n## ")[0]
    num = json.loads((folder / "metrics.json").read_text())["suspects"]["num_here"]
    assert num >= len(rows) > 0
    assert all(row["id"] in section for row in rows)
    page = (folder / "report.html").read_text()
    assert "a wrong label counts as an error of the model" in page
    assert page.split('id="suspect-labels"')[1].split("</section>")[0].count("<img") >= len(rows)


def test_a_run_evaluated_after_the_search_shows_the_suspects(trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained.path, run)
    before = (run / "evaluation/test/summary.md").read_text()
    assert "`obverse suspects RUN`" in before
    written = obverse.suspects(run, out=run / "suspects", device="cpu")
    table = run / "suspects/suspects.csv"
    test_ids = json.loads((run / "evaluation/test/ids.json").read_text())
    header = "id,label,new_label,action,score,why"
    rows = [f"{test_ids[0]},dark,light,change,0.9,because", f"{test_ids[1]},dark,light,keep,0.8,", "gone,a,b,keep,0.7,"]
    table.write_text("\n".join([header, *rows]) + "\n")
    assert written.page.is_file()
    folder, metrics = evaluate_run(run, device="cpu")
    assert metrics["suspects"] == {"num_listed": 3, "num_here": 2, "agreement": None}
    summary = (folder / "summary.md").read_text()
    assert "lists 3 suspects in suspects/suspects.csv of the run's folder; 1 of them is marked" in summary
    assert "2 of them are among the samples of this report" in summary
    (line,) = [line for line in summary.splitlines() if line.startswith(f"- {test_ids[0]}") and "because" in line]
    assert "light" in line
    # A damaged table is no reason to stop.
    table.write_text("nothing\n")
    assert "suspects" not in evaluate_run(run, device="cpu")[1]
