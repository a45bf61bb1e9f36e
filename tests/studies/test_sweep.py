"""A study: every condition with every seed, resumable, shared, and its table tells what is there."""

import json

import pytest

from obverse.errors import DataError, DivergedError, Interrupted, OutputError, RecipeError
from obverse.interrupts import Terminated
from obverse.recipe import load_recipe
from obverse.runs import RunFolder
from obverse.studies.many import record_failure

from .sweeps import VARIANTS, Log, table, weights

ONE_SEED = VARIANTS.replace("[0, 1]", "[0]")


def test_every_condition_with_every_seed_then_nothing_again(study):
    first = study()
    found = first.run()
    assert found.state == "4 of 4 runs finished"
    assert sorted(weights(first.out)) == [
        f"runs/{name}/seed-{seed}/bundle/model.safetensors" for name in ("baseline", "smoothing") for seed in (0, 1)
    ]
    assert len(set(weights(first.out).values())) == 4
    recipe = load_recipe(str(first.out / "runs/smoothing/seed-1/recipe.yaml"))
    assert (recipe.loss.label_smoothing, recipe.training.seed) == (0.1, 1)
    rows = table(first.out)
    assert [(row["condition"], row["runs"]) for row in rows] == [("baseline", "2"), ("smoothing", "2")]
    measured = [
        json.loads((first.out / f"runs/baseline/seed-{seed}/evaluation/test/metrics.json").read_text())
        for seed in (0, 1)
    ]
    mean = sum(values["accuracy"]["value"] for values in measured) / 2
    assert float(rows[0]["accuracy"]) == pytest.approx(mean)
    assert rows[1]["accuracy_difference"]
    assert "Points are seeds" in (first.out / "summary.md").read_text()
    assert (first.out / "sweep.png").read_bytes()[:4] == b"\x89PNG"

    log = Log()
    again = study(log=log)
    again.run()
    assert log.num_epochs == 0
    assert table(first.out) == rows


def test_what_was_stopped_goes_on_and_ends_with_the_same_bits(study):
    whole = study(ONE_SEED, out="whole")
    whole.run()
    stopped = study(ONE_SEED, log=Log(stop_at=3))
    with pytest.raises(Interrupted):
        stopped.run()
    assert len(weights(stopped.out)) < 2
    assert [row["runs"] for row in table(stopped.out)] == ["1", "0"]
    assert "PARTIAL: 1 of 2 runs finished" in (stopped.out / "summary.md").read_text()
    assert study(ONE_SEED).run().num_open == 0
    assert weights(stopped.out) == weights(whole.out)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, Terminated])
def test_a_stop_between_runs_leaves_a_partial_table(study, kind):
    class Stop(Log):
        def notify(self, event):
            if "smoothing" in getattr(event, "text", ""):
                raise kind

    stopped = study(ONE_SEED, log=Stop())
    with pytest.raises(kind, match="the same command goes on"):
        stopped.run()
    assert "PARTIAL: 1 of 2 runs finished" in (stopped.out / "summary.md").read_text()
    assert [row["runs"] for row in table(stopped.out)] == ["1", "0"]


def test_conditions_chosen_by_different_metrics_are_not_to_be_compared_on_val(study):
    text = "variants: {a: {}, b: {training.select: loss}}\nrecipe: base.yaml\nseeds: [0, 1]\n"
    out = study(text).out
    study(text).run()
    assert [row["val_metric"] for row in table(out)] == ["accuracy", "loss"]
    summary = (out / "summary.md").read_text()
    assert "not the same metric everywhere (accuracy, loss)" in summary
    assert "choose a condition by it" not in summary
    assert "\\`" not in summary
    for row in table(out):
        assert not row["val_low"] or float(row["val_low"]) >= 0
    assert not table(out)[0]["val_high"] or float(table(out)[0]["val_high"]) <= 1


def test_what_another_process_trains_is_passed_over(study):
    sweep = study(ONE_SEED)
    held = RunFolder(sweep.out / "runs/baseline/seed-0")
    held.claim()
    found = sweep.run()
    assert found.num_open == 1
    assert found.state == "PARTIAL: 1 of 2 runs finished"
    assert "PARTIAL" in (sweep.out / "summary.md").read_text()
    held.unlock()
    assert study(ONE_SEED).run().num_open == 0


def test_a_failed_run_is_told_and_not_tried_again(study):
    text = ONE_SEED.replace("smoothing: {loss.label_smoothing: 0.1}", "broken: {optim.lr: 1.0e+30}")
    text += "criteria:\n- {name: no divergence, finished: true}\n"
    found = study(text).run()
    assert found.state == "1 of 2 runs finished, 1 failed"
    assert [(v.run, v.is_met) for v in found.verdicts] == [("baseline", True), ("broken", False)]
    assert "diverged" in found.verdicts[1].reason
    assert "diverged" in (study(text).out / "summary.md").read_text()
    log = Log()
    study(text, log=log).run()
    assert not any("batch" in text for text in log.texts)
    study(text, log=log, retry=True).run()
    assert any("diverged" in text for text in log.texts)


def test_runs_of_other_settings_are_never_mixed_in(study, tmp_path):
    study(ONE_SEED).run()
    with pytest.raises(RecipeError, match=r"other settings \(loss.label_smoothing\)"):
        study(ONE_SEED.replace("0.1", "0.2")).run()
    more = study(ONE_SEED.replace("seeds: [0]", "seeds: [0, 3]")).run()
    assert more.state == "4 of 4 runs finished"

    before = table(tmp_path / "out")
    with pytest.raises(RecipeError, match="other settings"):
        study(ONE_SEED.replace("[0]", "[0, 5]").replace("0.1", "0.2")).run()
    assert not list(tmp_path.glob("out/runs/*/seed-5"))  # nothing was trained before
    assert table(tmp_path / "out") == before


def test_what_the_data_cannot_do_is_said_when_the_others_are_done(study, tmp_path):
    text = ONE_SEED.replace("baseline: {}", "few: {data.exclude_classes: [dark]}\n  baseline: {}")
    for _ in range(2):
        with pytest.raises(DataError, match="at least 2"):
            study(text).run()
        assert [(row["condition"], row["runs"]) for row in table(tmp_path / "out")] == [
            *[("few", "0"), ("baseline", "1"), ("smoothing", "1")]
        ]
    (state,) = [run for run in json.loads((tmp_path / "out/sweep.json").read_text())["runs"] if run["state"] == "open"]
    assert "at least 2" in state["reason"]


def test_impossible_settings_may_be_corrected(study):
    text = ONE_SEED.replace("smoothing: {loss.label_smoothing: 0.1}", "ordinal: {loss.kind: emd}")
    assert study(text).run().state == "1 of 2 runs finished, 1 failed"
    assert study(text.replace("emd", "focal")).run().state == "2 of 2 runs finished"
    with pytest.raises(RecipeError, match=r"other settings \(loss.kind\)"):
        study(text).run()


def test_a_run_that_cannot_be_written_is_not_taken_for_another_process(study, monkeypatch):
    def refuse(*args, **options):
        raise OutputError("no permission")

    monkeypatch.setattr("obverse.studies.many.resume_run", refuse)
    stopped = study(ONE_SEED, log=Log(stop_at=1))
    with pytest.raises(Interrupted):
        stopped.run()
    with pytest.raises(OutputError, match="no permission"):
        study(ONE_SEED).run()


def test_a_condition_with_an_open_or_failed_seed_has_not_finished(study, tmp_path):
    text = VARIANTS + "criteria:\n- {name: no divergence, finished: true}\n"
    with pytest.raises(Interrupted):
        study(text, log=Log(stop_at=3)).run()
    verdicts = json.loads((tmp_path / "out/sweep.json").read_text())["criteria"]
    assert [(v["run"], v["is_met"], v["said"]) for v in verdicts] == [
        ("baseline", False, "seed 1: not finished"),
        ("smoothing", False, "seed 0: not finished"),
    ]
    record_failure(tmp_path / "out/runs/smoothing/seed-1", DivergedError("nan"))
    found = study(text).run()
    assert [(v.run, v.is_met) for v in found.verdicts] == [("baseline", True), ("smoothing", False)]


def test_a_grid_with_subsets_of_classes(draw_classes, tmp_path, study):
    draw_classes(tmp_path / "data", classes=("dark", "gray", "light"), per_class=8)
    text = "recipe: base.yaml\ngrid:\n  data.largest_classes: [3, 2]\n  optim.lr: [0.01, 0.02]\n"
    found = study(text).run()
    names = [condition.name for condition in found.conditions]
    assert names[0] == "largest_classes=3, lr=0.01"
    assert (found.runs[0].path.parent.name, len(names)) == ("largest_classes=3-lr=0.01", 4)
    rows = table(found.runs[0].path.parents[2])
    assert rows[1]["accuracy_difference"]
    assert not rows[2]["accuracy_difference"]
    assert "other samples or classes" in rows[2]["note"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("variants: {a: {optim.rate: 1}}", "condition 'a'.*unknown key"),
        ("variants: {a: {optim.lr: -1}}", "optim.lr"),
        ("seeds: [0]", "nothing varies"),
        ("seeds: [0, 0]", "twice"),
        ("grid: {training.seed: [1, 2]}", "under `seeds`"),
        ("grid: {optim.lr: []}", "without values"),
        ("settings: {optim.lr: 1}\ngrid: {optim.lr: [1, 2]}", "varies too"),
        ("variants: {a: {}}\nsearch: {trials: 2, space: {optim.lr: {low: 1, high: 2}}}", "leave out variants"),
        ("search: {trials: 2, space: {optim.lr: {low: 2, high: 1}}}", "low must be below high"),
        ("search: {trials: 2, space: {optim.lr: {low: 0, high: 1, log: true}}}", "above 0"),
        ("variant: {a: {}}", "did you mean `variants`"),
        ("recipe: absent.yaml\nseeds: [0, 1]", "no recipe"),
        ("grid: {optim.lr: [0.1, 0.1]}", "two conditions"),
    ],
)
def test_faulty_files(study, text, words):
    with pytest.raises(RecipeError, match=words):
        study(text)
