"""A study: every condition with every seed, resumable, shared, and its table tells what is there."""

import csv
import json
import signal
import textwrap

import pytest

from obverse.errors import Interrupted, RecipeError
from obverse.experiment.sweep import Sweep
from obverse.recipe import load_recipe, load_sweep
from obverse.runs import EpochEnd, RunFolder

BASE = """
data: {size: {height: 16, width: 16}}
augment: {policy: none}
model: {backbone: {kind: convnet, widths: [4, 8]}}
optim: {lr: 0.02}
schedule: {warmup_epochs: 0}
training: {epochs: 2, batch_size: 4, select: accuracy}
runtime: {device: cpu, precision: fp32, channels_last: false, matmul: highest, num_threads: 1, num_workers: 0,
          compile: false}
"""
VARIANTS = """
recipe: base.yaml
variants:
  baseline: {}
  smoothing: {loss.label_smoothing: 0.1}
seeds: [0, 1]
"""


ONE_SEED = VARIANTS.replace("[0, 1]", "[0]")


class Log:
    """Remembers what was said; may stop the process at one of all epochs, as a signal would."""

    def __init__(self, stop_at=None):
        self.texts, self.num_epochs, self.stop_at = [], 0, stop_at

    def notify(self, event):
        self.texts.append(getattr(event, "text", ""))
        if isinstance(event, EpochEnd):
            self.num_epochs += 1
            if self.num_epochs == self.stop_at:
                signal.raise_signal(signal.SIGTERM)

    def close(self):
        pass


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch):
    """Drawing is half of so small a run."""
    monkeypatch.setattr("obverse.evaluation.report.plot_confusion", lambda counts, classes, path: path.touch())
    monkeypatch.setattr("obverse.experiment.train.plot_history", lambda history, path: path.touch())


@pytest.fixture
def study(draw_classes, tmp_path):
    """study(text, out) makes the sweep of a file with that text."""
    data = draw_classes(tmp_path / "data", per_class=8)
    (tmp_path / "base.yaml").write_text(BASE)

    def make(text=VARIANTS, out="out", *, log=None, **options):
        file = tmp_path / "study.yaml"
        file.write_text(textwrap.dedent(text))
        observer = log or Log()
        return Sweep(load_sweep(file), file, data, tmp_path / out, make_observers=lambda: (observer,), **options)

    return make


def weights(out):
    return {
        str(path.relative_to(out)): path.read_bytes() for path in sorted(out.glob("runs/*/*/bundle/model.safetensors"))
    }


def table(out):
    with (out / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


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
    assert study(ONE_SEED).run().num_open == 0
    assert weights(stopped.out) == weights(whole.out)


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
    assert "diverged" in found.verdicts[1].said
    assert "diverged" in (study(text).out / "summary.md").read_text()
    log = Log()
    study(text, log=log).run()
    assert not any("batch" in text for text in log.texts)
    study(text, log=log, retry=True).run()
    assert any("diverged" in text for text in log.texts)


def test_runs_of_other_settings_are_never_mixed_in(study):
    study(ONE_SEED).run()
    with pytest.raises(RecipeError, match=r"other settings \(loss.label_smoothing\)"):
        study(ONE_SEED.replace("0.1", "0.2")).run()
    more = study(ONE_SEED.replace("seeds: [0]", "seeds: [0, 3]")).run()
    assert more.state == "4 of 4 runs finished"


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


SEARCH = """
recipe: base.yaml
settings: {training.epochs: 1}
search:
  trials: 3
  space:
    optim.lr: {low: 1.0e-4, high: 0.1, log: true}
    model.head.hidden: {choices: [[], [4]]}
    schedule.warmup_epochs: {choices: [0, 0.5]}
"""


def drawn(out):
    return {path.parent.name: json.loads(path.read_text()) for path in out.glob("runs/*/condition.json")}


def test_a_search_draws_the_same_when_it_is_interrupted(study):
    pytest.importorskip("optuna")
    whole = study(SEARCH, out="whole")
    found = whole.run()
    assert (found.num_wanted, found.num_open) == (3, 0)
    assert len({float(v["recipe"]["optim"]["lr"]) for v in drawn(whole.out).values()}) == 3
    stopped = study(SEARCH, log=Log(stop_at=2))
    with pytest.raises(Interrupted):
        stopped.run()
    assert study(SEARCH).run().num_open == 0
    assert drawn(stopped.out) == drawn(whole.out)
    assert weights(stopped.out) == weights(whole.out)
    rows = table(whole.out)
    assert [row["condition"] for row in rows] == [f"trial-{n:04}" for n in range(3)]
    assert json.loads(rows[0]["settings"]).keys() == {"optim.lr", "model.head.hidden", "schedule.warmup_epochs"}


def test_a_search_leaves_the_trial_of_another_process_to_it(study):
    pytest.importorskip("optuna")
    two = SEARCH.replace("trials: 3", "trials: 2")
    first = study(two, log=Log(stop_at=1))
    with pytest.raises(Interrupted):
        first.run()
    held = RunFolder(first.out / "runs/trial-0000/seed-0")
    held.lock()
    found = study(two).run()
    assert found.num_open == 1
    assert not held.is_finished
    held.unlock()
    assert study(two).run().num_open == 0
    assert held.is_finished


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


def test_a_search_must_know_what_is_best(study):
    pytest.importorskip("optuna")
    with pytest.raises(RecipeError, match=r"training\.select"):
        study(SEARCH.replace("training.epochs: 1", "training.epochs: 1, training.select: auto")).run()
