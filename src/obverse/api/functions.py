"""Functions of the Python API: each does what the verb of its name does, and prints nothing but a progress bar.

Whatever the user can mend is an `ObverseError`. Nothing heavy is imported before a function is called.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from obverse.errors import Interrupted, OutputError, RecipeError
from obverse.launch import launched

from .arguments import optional_path, path_of, require_text, several
from .short_forms import (
    DataForms,
    ProbeForms,
    SuspectForms,
    TrainingForms,
    as_lines,
    python_forms,
    recipe_of,
    with_options,
)

if TYPE_CHECKING:
    from obverse.experiment import RunResult
    from obverse.inference import Predictor
    from obverse.manifest.check import Check
    from obverse.probing import Probe
    from obverse.recipe import Recipe
    from obverse.studies.compare import Comparison
    from obverse.studies.leaderboard import Leaderboard

    from .progress import ProgressBar
    from .results import Evaluation, Run
    from .suspecting import Suspects

AnyPath = str | os.PathLike[str]


@with_options(DataForms)
def check(
    data: AnyPath,
    *,
    out: AnyPath | None = None,
    settings: Mapping[str, Any] | None = None,
    advisory: bool = True,
    progress: bool = True,
    **options: Unpack[DataForms],
) -> Check:
    """Findings on a data set: what is wrong or odd about its pictures, names and labels.

    data: a folder in a known layout, an archive, a table or a manifest. out: a folder for `check.json` and
    `check.html`; by default nothing is written. settings: fields of the recipe's `data`, as
    `{"data.views": ["front", "back"]}`. advisory: also look for near duplicates, exchanged views and shortcuts.
    options: layout, label_column, image_column, image_root, fixes.

    Raises DataError when the data cannot be read at all; an error finding is in the result.
    """
    lines = as_lines(settings)
    strange = next((line for line in lines if not line.startswith(("data.", "data="))), None)
    if strange is not None:
        raise RecipeError(f"settings {strange}: only fields of `data` matter to a check")
    recipe = recipe_of("auto", lines, python_forms(options, list(DataForms.__annotations__)))
    from obverse.manifest.check import check_data, require_free, write_check

    from .progress import ProgressBar

    source, folder = path_of("data", data), optional_path("out", out)
    if folder is not None:
        if source.is_dir() and source.resolve() in (folder.resolve(), *folder.resolve().parents):
            raise OutputError(f"{str(folder)!r} lies in the data itself; choose another folder as out")
        require_free(folder)
    with ProgressBar(progress) as bar:
        result = check_data(source, recipe.data, bar.pictures, advisory=advisory)
    if folder is not None:
        write_check(result, folder)
    return result


@with_options(TrainingForms)
def train(
    data: AnyPath,
    recipe: AnyPath | Recipe = "auto",
    *,
    run: AnyPath | None = None,
    settings: Mapping[str, Any] | None = None,
    more_epochs: int | None = None,
    progress: bool = True,
    **options: Unpack[TrainingForms],
) -> Run:
    """A run: the model trained on `data`, evaluated and written with its report into a run folder.

    recipe: the name of a shipped recipe, a YAML file or a `Recipe`. run: the new run folder, by default
    runs/DATA-DATE-TIME. settings: fields of the recipe, as `{"optim.lr": 3e-4}`. more_epochs: train so many more in a
    new run; `data` is then a finished run. options: epochs, batch_size, lr, seed, minutes, device, model, weights,
    size, track, layout, label_column, image_column, image_root, fixes, as the options of `obverse train`.

    Raises KeyboardInterrupt on Ctrl-C, after the step and a checkpoint, and Interrupted on SIGTERM.
    """
    _require_one_process("train")
    lines, forms = as_lines(settings), python_forms(options, list(TrainingForms.__annotations__))
    source, new_run = path_of("data", data), optional_path("run", run)
    from .progress import ProgressBar
    from .training import open_folder, recipe_for_more_epochs, train_in

    with ProgressBar(progress) as bar:
        if more_epochs is None:
            chosen = recipe_of(recipe, lines, forms)
        else:
            given = ["--recipe"] * (recipe != "auto")
            chosen = recipe_for_more_epochs(source, more_epochs, lines, forms, given)
        folder, to_train = open_folder(new_run, source, chosen)
        with _interruptible(folder.path):
            result = train_in(folder, source, to_train, observers=[bar], progress=bar.pictures, computing=bar.features)
    return _as_run(result, bar)


@with_options(ProbeForms)
def probe(
    data: AnyPath,
    recipe: AnyPath | Recipe = "auto",
    *,
    folds: int = 5,
    samples: int | None = None,
    out: AnyPath | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool = True,
    **options: Unpack[ProbeForms],
) -> Probe:
    """Pretrained backbones compared by simple heads on their frozen features, cross-validated inside train and val.

    folds: of the cross-validation. samples: most samples to compare on. out: a folder for probe.json, probe.csv and
    report.html; without it nothing is written. options: model, weights and size, each one or several; without model
    and weights, what the hub's cache holds is compared. device, layout, label_column, image_column, image_root and
    fixes as the options of `obverse train`.
    """
    from .probing import Wanted, Watching, run_probe
    from .progress import ProgressBar

    models, weights, sizes = (several(options.get(name)) for name in ("model", "weights", "size"))
    apart: dict[str, Any] = {name: None for name in ("model", "weights", "size") if name in options}
    lines, forms = as_lines(settings), python_forms({**options, **apart}, list(ProbeForms.__annotations__))
    wanted = Wanted(models=models, weights=weights, sizes=sizes, folds=folds, samples=samples)
    with ProgressBar(progress) as bar:
        watching = Watching(reading=bar.pictures, computing=bar.features)
        return run_probe(
            path_of("data", data), recipe, lines, forms, wanted=wanted, out=optional_path("out", out), watching=watching
        )


@with_options(SuspectForms)
def suspects(
    source: AnyPath,
    recipe: AnyPath | Recipe = "auto",
    *,
    most: int | None = None,
    out: AnyPath | None = None,
    force: bool = False,
    settings: Mapping[str, Any] | None = None,
    progress: bool = True,
    **options: Unpack[SuspectForms],
) -> Suspects:
    """Labels that are probably wrong, in a run, in a study of folds or in data with pretrained weights.

    most: suspects to list, by default twice the estimated number of errors. out: a folder for suspects.csv and
    suspects.html; by default nothing is written. force: replace an older suspects.csv. options: for data, model,
    weights (one or several) and size; layout, label_column, image_column, image_root, fixes and device as the options
    of `obverse train`.
    """
    from .probing import Watching
    from .progress import ProgressBar
    from .suspecting import Asked, find_suspects

    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise RecipeError(f"most={most!r}: write a whole number of at least 1")
    weights = several(options.get("weights"))
    apart: dict[str, Any] = {"weights": None} if "weights" in options else {}
    lines, forms = as_lines(settings), python_forms({**options, **apart}, list(SuspectForms.__annotations__))
    asked = Asked(out=optional_path("out", out), weights=weights, most=most, force=force)
    with ProgressBar(progress) as bar:
        watching = Watching(reading=bar.pictures, computing=bar.features)
        return find_suspects(path_of("source", source), recipe, lines, forms, asked=asked, watching=watching)


def load_recipe(recipe: AnyPath | Recipe = "auto", settings: Mapping[str, Any] | None = None) -> Recipe:
    """A recipe: a shipped one by name, a YAML file or a `Recipe`, with settings such as `{"optim.lr": 3e-4}` on top.

    Raises RecipeError for a missing file, broken YAML, an unknown key or a wrong value.
    """
    from obverse.recipe import load_recipe as load

    return load(recipe, as_lines(settings))


def resume(run: AnyPath, *, force: bool = False, progress: bool = True) -> Run:
    """An interrupted run brought to its end, from its last checkpoint; a finished run is read back.

    force: resume although the recipe or the data is no longer what the run began with.
    """
    _require_one_process("resume")
    from .progress import ProgressBar
    from .training import open_folder, train_in

    with ProgressBar(progress) as bar:
        folder, recipe = open_folder(path_of("run", run), None, None)
        with _interruptible(folder.path):
            result = train_in(folder, None, recipe, observers=[bar], progress=bar.pictures, force=force)
    return _as_run(result, bar)


def evaluate(
    run: AnyPath,
    *,
    split: str | None = None,
    data: AnyPath | None = None,
    layout: str | None = None,
    out: AnyPath | None = None,
    device: str = "auto",
) -> Evaluation:
    """Measurements of a trained model on a split of its own data (test), or on other labelled data.

    run: a run, or a bundle together with data and out. split: train, val or test, of the run's own data or of `data`,
    which counts as a whole without it. layout: how `data` is laid out, when what is seen is wrong. out: the folder of
    the report, by default below RUN/evaluation.
    """
    from obverse.evaluation import Seen
    from obverse.experiment import evaluate_run

    from .results import Evaluation

    require_text("device", device)
    if layout is not None:
        require_text("layout", layout)
    path, metrics = evaluate_run(
        path_of("run", run),
        split=split,
        data=optional_path("data", data),
        layout=layout,
        out=optional_path("out", out),
        device=device,
    )
    return Evaluation(path.absolute(), metrics, tuple(Seen(**metrics["seen"]).sentences(metrics["num_samples"])))


def load(
    model: AnyPath,
    *,
    device: str = "auto",
    similar: int = 0,
    allow_urls: bool = False,
    engine: str = "torch",
    tta: bool = False,
) -> Predictor:
    """The predictor of a run or a bundle.

    similar: number of most similar training pictures that every prediction carries, with their labels, as evidence;
    their embeddings are computed now, of at most 5,000.
    allow_urls: whether inputs may be http and https addresses, whose pictures are then fetched.
    engine: the library that runs the model: torch, onnx or openvino, which give equal answers, or `auto`: the fastest
    one that is installed, measured once on this machine.
    tta: test-time augmentation, whether answers are the mean over every picture and its mirror image.

    Raises DataError when the path is neither or is damaged, RecipeError for `similar` of a bundle without its run, and
    for `tta` of a model that was not trained with mirrored pictures.
    """
    from obverse.inference import load as load_predictor

    require_text("device", device)
    require_text("engine", engine)
    if isinstance(similar, bool) or not isinstance(similar, int) or similar < 0:
        raise RecipeError(f"similar={similar!r}: write a whole number of at least 0")
    path = path_of("model", model)
    if not similar:
        return load_predictor(path, device=device, allow_urls=allow_urls, engine=engine, tta=tta)
    from obverse.experiment import load_with_evidence

    return load_with_evidence(path, similar, device=device, allow_urls=allow_urls, engine=engine, tta=tta)


def compare(*runs: AnyPath, split: str = "test", out: AnyPath | None = None) -> Comparison:
    """Runs side by side: metrics with intervals, and paired tests against the first run on the same samples.

    out: a folder for report.html (with the pictures whose answer changed), summary.md and comparison.json; by default
    nothing is written.
    """
    from obverse.studies.compare import compare as compare_contenders

    from .contenders import read_contenders, require_different

    paths = [path_of("each run", run) for run in runs]
    require_different(paths)
    if len(paths) < 2:
        raise RecipeError("compare needs at least two runs")
    contenders, _ = read_contenders(paths, split)
    comparison, folder = compare_contenders(contenders), optional_path("out", out)
    if folder is not None:
        from obverse.studies.comparison import write_comparison

        write_comparison(comparison, contenders, folder)
    return comparison


def leaderboard(folder: AnyPath = "runs", *, out: AnyPath | None = None) -> Leaderboard:
    """Past runs below a folder, the best first within the same data and metric, with paired tests.

    out: a folder for report.html, runs.csv and runs.json; by default nothing is written.
    """
    from obverse.studies.leaderboard import read_leaderboard

    board, target = read_leaderboard(path_of("folder", folder)), optional_path("out", out)
    if target is not None:
        board.write(target)
    return board


def _require_one_process(name: str) -> None:
    num = launched().world_size
    if num > 1:
        raise RecipeError(f"obverse.{name} is the work of one process, and {num} were started; start it without "
                          "torchrun, or train with the command: torchrun -m obverse train")  # fmt: skip


@contextmanager
def _interruptible(run: Path) -> Iterator[None]:
    """Context that turns a run's Ctrl-C into what Python callers expect: no `except ObverseError` may swallow it."""
    try:
        yield
    except Interrupted as error:
        if error.exit_code != 128 + signal.SIGINT:
            raise
        raise KeyboardInterrupt(f"the run is stopped and saved; obverse.resume({str(run)!r}) goes on") from None


def _as_run(result: RunResult, bar: ProgressBar) -> Run:
    from .results import Evaluation, Run

    evaluation = Evaluation(result.report.parent.absolute(), result.metrics)
    return Run(result.run.path.absolute(), evaluation, result.example, tuple(bar.messages))
