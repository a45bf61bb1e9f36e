"""Results of a study: one row per condition, with intervals over seeds and paired differences from the first.

The table does not rank conditions by test: val tells which condition to choose, test measures the chosen one.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from obverse.evaluation import LOWER_IS_BETTER, Estimate, are_numbered, plot_conditions
from obverse.experiment import training_log_of
from obverse.metrics import Metric, metric_of, p_value_words
from obverse.recipe import Condition, Criterion
from obverse.report import Figure, Page, Section, Table, Text, to_markdown
from obverse.runs import write_text

from .compare import Comparison, Contender, Row, compare, is_sure, over_seeds, read_contender
from .criteria import Verdict, check_criteria
from .many import Outcome

# Fewer bootstrap resamples than in a comparison of two runs, because a study has many conditions.
NUM_RESAMPLES = 1000
# The best trials of a search that are compared with each other; the table has all trials.
MOST_COMPARED = 10


@dataclass(frozen=True)
class StudyRun:
    """One seed of one condition."""

    condition: Condition
    seed: int
    path: Path
    outcome: Outcome


@dataclass(frozen=True)
class Study:
    """The runs of a study with its criteria."""

    name: str
    runs: tuple[StudyRun, ...]

    num_wanted: int
    """Runs of the whole study, started or not."""

    criteria: tuple[Criterion, ...] = ()

    is_search: bool = False
    """Whether conditions are trials of a search, which are compared in the order of their val value."""

    verdicts: list[Verdict] = field(default_factory=list)
    """Results of the criteria; filled by `write_study`."""

    @property
    def conditions(self) -> list[Condition]:
        """The conditions, in the order of the file."""
        return list({run.condition.name: run.condition for run in self.runs}.values())

    def runs_of(self, condition: Condition, state: str = "finished") -> list[StudyRun]:
        """The runs of a condition that are in the given state."""
        return [run for run in self.runs_in(state) if run.condition.name == condition.name]

    def runs_in(self, state: str) -> list[StudyRun]:
        """All runs that are in the given state."""
        return [run for run in self.runs if run.outcome.state == state]

    @property
    def num_open(self) -> int:
        """Runs that are neither finished nor failed."""
        return self.num_wanted - len(self.runs_in("finished")) - len(self.runs_in("failed"))

    @property
    def state(self) -> str:
        """The study's completeness as text."""
        finished, failed = len(self.runs_in("finished")), len(self.runs_in("failed"))
        summary = f"{finished} of {self.num_wanted} runs finished" + (f", {failed} failed" if failed else "")
        return f"PARTIAL: {summary}" if self.num_open else summary


def write_study(study: Study, out: Path) -> None:
    """Write table, JSON, plot and summary of all finished runs, and store the verdicts in the study."""
    contenders = {c.name: contender for c in study.conditions if (contender := _contender(study, c))}
    chosen = {name: _val_value(study, contender) for name, contender in contenders.items()}
    order = sorted(contenders, key=lambda name: chosen[name].sort_key) if study.is_search else list(contenders)
    compared = [contenders[name] for name in order[:MOST_COMPARED]] if study.is_search else list(contenders.values())
    comparison = compare(compared, only_alike=False, num_resamples=NUM_RESAMPLES) if compared else Comparison((), ())
    study.verdicts[:] = check_criteria(study.criteria, list(contenders.values()), _unfinished(study))
    rows = list(_rows(study, contenders, comparison, chosen))
    _write_table(out / "table.csv", rows)
    values = {
        "study": study.name,
        "state": study.state,
        "comparison": comparison.as_json(),
        "criteria": [verdict.as_json() for verdict in study.verdicts],
        "runs": [_run_json(run) for run in study.runs],
    }
    write_text(out / "sweep.json", json.dumps(values, indent=1) + "\n")
    if contenders:
        headline = comparison.headline
        points = {name: [seed.value for seed in contenders[name].of_seeds(headline.name)] for name in order}
        means = {row.name: row.values[headline.name] for row in comparison.rows if headline.name in row.values}
        plot_conditions(points, means, out / "sweep.png", score=headline.title)
    sections = [s for s in _sections(study, rows, comparison, order, out / "sweep.png") if not s.is_empty]
    write_text(out / "summary.md", to_markdown(Page(f"The study {study.name}", tuple(sections)), out))


def _contender(study: Study, condition: Condition) -> Contender | None:
    contenders = [read_contender(run.path, split_of(run.path)) for run in study.runs_of(condition)]
    if not contenders:
        return None
    return Contender(condition.name, tuple(c.runs[0] for c in contenders), tuple(c.metrics[0] for c in contenders))


def split_of(run: Path) -> str:
    """The split on which a run is compared: test, or val where there is no test split."""
    return "test" if (run / "evaluation" / "test").is_dir() else "val"


@dataclass(frozen=True)
class Chosen:
    """What a condition's epochs were chosen by on val: the metric's name, and its value over seeds."""

    metric: str
    estimate: Estimate

    @property
    def sort_key(self) -> float:
        """A number that sorts the best first."""
        return self.estimate.value if self.metric in LOWER_IS_BETTER else -self.estimate.value


def _val_value(study: Study, contender: Contender) -> Chosen:
    runs = [run for run in study.runs_in("finished") if run.condition.name == contender.name]
    logs = [training_log_of(run.path) for run in runs]
    name = str(logs[0]["epochs"][0]["select"])
    metric = metric_of(name, label_sets=contender.is_set)
    return Chosen(name, over_seeds([float(log["best_value"]) for log in logs], metric))


def _unfinished(study: Study) -> dict[str, str]:
    """Conditions with a failed or unfinished seed: name -> reason."""
    reasons = {}
    for condition in study.conditions:
        failed, still_open = study.runs_of(condition, "failed"), study.runs_of(condition, "busy")
        if failed:
            reasons[condition.name] = f"seed {failed[0].seed} failed: {failed[0].outcome.reason}"
        elif still_open:
            reasons[condition.name] = f"seed {still_open[0].seed}: {still_open[0].outcome.reason or 'not finished'}"
    return reasons


def _rows(
    study: Study, contenders: dict[str, Contender], comparison: Comparison, chosen: dict[str, Chosen]
) -> Iterable[dict[str, Any]]:
    """One flat row per condition, for table.csv."""
    compared = {row.name: row for row in comparison.rows}
    for condition in study.conditions:
        row: dict[str, Any] = {"condition": condition.name, "runs": len(study.runs_of(condition))}
        row["failed"] = len(study.runs_of(condition, "failed"))
        row["settings"] = json.dumps(dict(condition.settings))
        contender = contenders.get(condition.name)
        if contender is not None:
            row["val_metric"] = chosen[condition.name].metric
            row |= _spread("val", chosen[condition.name].estimate)
            row["num_test"] = contender.metrics[0]["num_samples"]
            for name in comparison.metrics:
                row |= _spread(name, contender.estimate(name))
            row |= _paired(compared.get(condition.name))
        yield row


def _spread(name: str, estimate: Estimate | None) -> dict[str, Any]:
    if estimate is None:
        return {}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _paired(row: Row | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, difference in row.differences.items() if row else ():
        assert row is not None
        values |= {f"{name}_difference": difference.value, f"{name}_difference_low": difference.low}
        values |= {f"{name}_difference_high": difference.high, f"{name}_p": row.adjusted[name]}
    return values | ({"note": row.note} if row and row.note else {})


def _write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    header = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _run_json(run: StudyRun) -> dict[str, Any]:
    return {
        "condition": run.condition.name,
        "seed": run.seed,
        "state": "open" if run.outcome.state == "busy" else run.outcome.state,
        "reason": run.outcome.reason,
        "run": str(Path("runs") / run.path.parent.name / run.path.name),
    }


def _sections(
    study: Study, rows: Sequence[dict[str, Any]], comparison: Comparison, order: Sequence[str], plot: Path
) -> list[Section]:
    sentences = [
        f"{study.state}. {_about_val(rows)}",
        "Intervals are over seeds where a condition has several (Student's t), over test samples where it has one; "
        "differences are paired by test sample, or by group where samples belong together, p adjusted for several "
        "comparisons (Holm). Where a condition has several seeds, they are drawn as samples are; with one, a "
        "difference is between these models, and other seeds may not show it.",
    ]
    headline, tested = comparison.headline, comparison.tested
    header = ("condition", "runs", "val", headline.title, "macro F1", f"difference in {tested.title}", "p")
    body = tuple(_summary_row(row, headline.name, tested.name) for row in rows)
    failures = tuple((run.condition.name, str(run.seed), run.outcome.reason) for run in study.runs_in("failed"))
    verdicts = tuple((v.criterion, v.run, "met" if v.is_met else "NOT met", v.reason) for v in study.verdicts)
    return [
        Section("Conditions", (*map(Text, [*sentences, *_differing(comparison)]), Table(header, body))),
        *([_plotted(headline, order, plot)] if comparison.rows else []),
        Section("Criteria", (Table(("criterion", "condition", "", "numbers"), verdicts),)),
        Section("Failed", (Table(("condition", "seed", "why"), failures),)),
    ]


def _about_val(rows: Sequence[dict[str, Any]]) -> str:
    """What the column `val` is, and whether conditions may be chosen by it."""
    names = sorted({row["val_metric"] for row in rows if "val_metric" in row})
    if len(names) > 1:
        return (
            f"The column val is what the best epoch was chosen by, which is not the same metric everywhere "
            f"({', '.join(names)}): conditions with different ones cannot be compared by it."
        )
    what = f" ({names[0]})" if names else ""
    return f"The column val is what the best epoch was chosen by{what}; choose a condition by it, never by test."


def _differing(comparison: Comparison) -> list[str]:
    """Which conditions differ from the first in the metric that was tested, and why not in the headline."""
    if len(comparison.rows) < 2:
        return []
    base, tested = comparison.rows[0].name, comparison.tested
    if not any(row.differences for row in comparison.rows):
        return [f"No condition is compared with {base}; the last column says why."]
    sure = [row.name for row in comparison.rows if is_sure(row, tested.name)]
    sentence = f"Sure at 5 % to differ in {tested.title} from {base}: {', '.join(sure) or 'none'}."
    untested = f"{comparison.headline.name} is not compared: "
    return [*(f"{text}." for text in comparison.sentences if text.startswith(untested)), sentence]


def _plotted(headline: Metric, order: Sequence[str], plot: Path) -> Section:
    """The plot's section, with a key where the plot shows numbers instead of names."""
    title = headline.title[0].upper() + headline.title[1:]
    key = [(str(number), name) for number, name in enumerate(order, 1)] if are_numbered(order) else []
    figure = Figure(plot, "conditions", f"{title} of each condition, with a point for every seed.")
    table = Table(("number in the plot", "condition"), tuple(key))
    return Section(title, (Text("Points are seeds."), figure, table))


def _summary_row(row: dict[str, Any], headline: str, tested: str) -> tuple[str, ...]:
    def cell(name: str, sign: str = "") -> str:
        if row.get(name) is None:
            return "–"
        low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
        interval = f" ({low:{sign}.4f} to {high:{sign}.4f})" if low is not None and high is not None else ""
        return f"{row[name]:{sign}.4f}{interval}"

    p_value = p_value_words(row[f"{tested}_p"]) if f"{tested}_p" in row else row.get("note", "–")
    difference = cell(f"{tested}_difference", "+")
    val = f"{row['val_metric']} {cell('val')}" if "val_metric" in row else "–"
    return row["condition"], str(row["runs"]), val, cell(headline), cell("macro_f1"), difference, p_value
