"""A study whose settings are searched for: its trials are drawn the same again, and nobody takes another's."""

import json

import pytest

from obverse.errors import Interrupted, RecipeError
from obverse.runs import RunFolder

from .sweeps import Log, table, weights

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
    ("before", "after", "words"),
    [
        ("[0, 0.5]", "[0.5, 0]", "search.space.schedule.warmup_epochs.choices"),
        ("[0, 0.5]", "[0, 0.5, 1]", "search.space.schedule.warmup_epochs.choices"),
        ("epochs: 1}", "epochs: 1, loss.label_smoothing: 0.2}", "loss.label_smoothing"),
        ("epochs: 1}", "epochs: 1, training.select: loss}", "training.select"),
        ("trials: 2", "trials: 2\n  sampler: random", "search.sampler"),
    ],
)
def test_trials_of_another_search_are_never_taken(study, tmp_path, before, after, words):
    pytest.importorskip("optuna")
    two = SEARCH.replace("trials: 3", "trials: 2")
    with pytest.raises(Interrupted):
        study(two, log=Log(stop_at=2)).run()
    kept = (tmp_path / "out/study.log").read_bytes()
    with pytest.raises(RecipeError, match=rf"other settings \({words}\)"):
        study(two.replace(before, after)).run()
    assert (tmp_path / "out/study.log").read_bytes() == kept


def test_a_search_may_be_made_longer_or_shorter(study):
    pytest.importorskip("optuna")
    assert study(SEARCH.replace("trials: 3", "trials: 2")).run().num_wanted == 2
    assert study(SEARCH).run().state == "3 of 3 runs finished"
    assert study(SEARCH.replace("trials: 3", "trials: 1")).run().state == "3 of 3 runs finished"
    assert study(SEARCH + "seeds: [0, 1]\n").run().state == "6 of 6 runs finished"


UNEVEN = """
recipe: base.yaml
settings: {training.epochs: 1, schedule.warmup_epochs: 0}
search:
  trials: 6
  sampler: random
  space:
    optim.kind: {choices: [sgd, adamw]}
    optim.momentum: {low: 0.5, high: 0.9}
"""


def test_a_search_passes_over_values_that_do_not_go_together(study):
    pytest.importorskip("optuna")
    found = study(UNEVEN).run()
    reasons = [run.outcome.reason for run in found.runs_in("failed")]
    assert found.num_open == 0
    assert found.runs_in("finished")
    assert reasons
    assert all("momentum" in reason for reason in reasons)
    log = Log()
    again = study(UNEVEN, log=log, retry=True).run()
    assert again.state == found.state
    assert sum("left out" in text for text in log.texts) == len(reasons)


def test_a_search_must_know_what_is_best(study):
    pytest.importorskip("optuna")
    with pytest.raises(RecipeError, match=r"training\.select"):
        study(SEARCH.replace("training.epochs: 1", "training.epochs: 1, training.select: auto")).run()
