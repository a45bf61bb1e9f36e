"""`obverse compare`: the table, the JSON, criteria with their exit code, and what it refuses."""

import json

import pytest


def test_table_and_json_say_the_same(obverse, two_runs):
    table = obverse("compare", *two_runs)
    assert table.code == 0, table.err
    assert "exact McNemar" in table.out
    assert "four times in five" in table.out or "no difference in accuracy" in table.out
    values = json.loads(obverse("compare", *two_runs, "--format", "json").out)
    slow, fast = values["rows"]
    assert (slow["name"], fast["name"]) == ("slow", "fast")
    accuracy = {row["name"]: row["values"]["accuracy"]["value"] for row in values["rows"]}
    found = fast["differences"]["accuracy"]
    assert found["value"] == pytest.approx(accuracy["fast"] - accuracy["slow"])
    assert f"{found['value']:+.4f}" in table.out
    # Its value has no interval on so few samples, so a difference has none either.
    assert "macro_f1" not in fast["differences"]
    assert any(line.startswith("macro_f1 is not compared: ") for line in values["sentences"])


def test_the_page(obverse, refused, two_runs, tmp_path):
    table = obverse("compare", *two_runs, "--out", tmp_path / "out")
    assert table.code == 0, table.err
    values = json.loads((tmp_path / "out" / "comparison.json").read_text())
    page = (tmp_path / "out" / "report.html").read_text()
    (verdict,) = values["verdicts"]
    assert verdict in " ".join(table.out.split())
    assert verdict in page
    changed = [*values["against"][0]["better"], *values["against"][0]["worse"]]
    assert page.count('<img src="data:image/webp') == len(changed)
    refused(73, "is a run", "compare", *two_runs, "--out", two_runs[0])


def test_criteria(obverse, refused, two_runs, tmp_path):
    file = tmp_path / "criteria.yaml"
    file.write_text(
        "criteria:\n- {name: at least something, metric: accuracy, above: 0}\n"
        "- {name: to its end, finished: true}\n- {name: small loss, runs: fas*, metric: loss, below: 100}\n"
    )
    met = obverse("compare", *two_runs, "--criteria", file)
    assert met.code == 0, met.err
    assert met.out.count("met    ") == 5
    file.write_text("criteria:\n- {name: perfect, runs: slow, metric: accuracy, above: 1}\n")
    missed = refused(76, "'perfect'", "compare", *two_runs, "--criteria", file)
    assert "NOT met perfect: slow: accuracy" in missed.out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("criteria: [{name: x, metric: accuracy}]", "exactly one of above"),
        ("criteria: [{name: x, metric: acuracy, above: 1}]", "criteria.0.metric"),
        ("criteria: [{name: x, abov: 1}]", "did you mean `above`"),
        ("criteria: [{name: x, finished: true, metric: loss}]", "has no place in finished"),
        ("[1, 2]", "criteria"),
    ],
)
def test_faulty_criteria(refused, two_runs, tmp_path, text, words):
    file = tmp_path / "criteria.yaml"
    file.write_text(text)
    refused(2, words, "compare", *two_runs, "--criteria", file)


def test_what_is_refused(obverse, refused, two_runs, coins_run, tmp_path):
    refused(65, "cannot be compared", "compare", two_runs[0], coins_run)
    refused(2, "given twice", "compare", two_runs[0], two_runs[0])
    refused(2, "at least two", "compare", two_runs[0])
    refused(65, "does not exist", "compare", two_runs[0], tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    refused(65, "has no evaluation of", "compare", two_runs[0], tmp_path / "empty")
    assert obverse("compare", *two_runs, "--split", "val").code == 0
