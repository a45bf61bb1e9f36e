"""Input files of a run folder, written at its start: recipe, config, manifest, environment and data report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from obverse.errors import DataError
from obverse.files import read_json_object
from obverse.launch import launched
from obverse.manifest import Index, Manifest, data_root, fit_columns, full_path, read_manifest
from obverse.recipe import ResolvedRecipe, dump_recipe
from obverse.runs import RunFolder, describe_environment, write_text

from .identity import remember, run_recipe


def with_source(recipe: ResolvedRecipe, data: Path, index: Index) -> ResolvedRecipe:
    """The recipe with absolute paths of its data, fixes and stored split, so that another run reads the same data."""
    stored = index.stored or recipe.data.split.stored
    return recipe.changed(
        {
            "data.path": full_path(index.source or data),
            "data.fixes": tuple(str(Path(file).resolve()) for file in recipe.data.fixes),
            "data.split.stored": stored and str(Path(stored).resolve()),
        }
    )


def write_inputs(run: RunFolder, recipe: ResolvedRecipe, index: Index) -> None:
    """Write the input files of a run. The recipe comes last: where it exists, the other files are complete."""
    run.require_ours()
    index.manifest.write(run.manifest)
    run.write_json("config.json", {**recipe.model_dump(mode="json"), "classes": list(index.manifest.classes)})
    run.write_json("environment.json", describe_environment(device=recipe.runtime.device, launch=asdict(launched())))
    report = [finding.as_json() for finding in index.findings]
    counts = {split: index.manifest.counts(split) for split in ("train", "val", "test")}
    run.write_json("data_report.json", {"source": index.summary, "findings": report, "counts": counts})
    remember(run, recipe, index.manifest)
    run.require_ours()
    write_text(run.recipe, dump_recipe(recipe))


def fixes_fact(run: RunFolder) -> dict[str, str]:
    """The fact about label fixes of the run's data; empty without any, and on ranks without a run folder."""
    file = run.path / "data_report.json"
    findings = read_json_object(file)["findings"] if file.is_file() else []
    messages = [finding["message"] for finding in findings if finding["code"] == "fixes"]
    return {"label fixes": "; ".join(messages)} if messages else {}


def read_inputs(run: RunFolder) -> tuple[ResolvedRecipe, Manifest]:
    """The recipe and the manifest that `write_inputs` wrote."""
    recipe = run_recipe(run)
    assert recipe.data.path is not None
    classes = _saved_classes(run)
    manifest = read_manifest(
        run.manifest,
        root=data_root(Path(recipe.data.path)),
        classes=classes,
        views=recipe.data.views,
        ordered=isinstance(recipe.data.order, tuple),
        multi_label=recipe.data.labels == "multi",
    )
    return recipe, fit_columns(manifest, recipe.data.columns)


def _saved_classes(run: RunFolder) -> tuple[str, ...]:
    file = run.path / "config.json"
    classes = read_json_object(file).get("classes")
    if not (isinstance(classes, list) and classes and all(isinstance(name, str) for name in classes)):
        raise DataError(f"{str(file)!r} cannot be used: it does not say the classes")
    return tuple(classes)
