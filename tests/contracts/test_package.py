"""What the package owes its users: names, layers, version, and help without torch."""

import importlib
import pkgutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

import obverse

ROOT = Path(__file__).parents[2]
MODULES = sorted(module.name for module in pkgutil.walk_packages(obverse.__path__, "obverse."))
# Packages of extras, each with the one module that is named after its job; `dev` holds most of them.
OPTIONAL = {
    "obverse.runs.observers.wandb_run": "wandb",
    "obverse.runs.observers.mlflow_store": "mlflow",
    "obverse.studies.optuna_search": "optuna",
    "obverse.serving.http.app": "fastapi",
    "obverse.serving.http.server": "uvicorn",
}
HEAVY = ("torch", "torchvision", "timm", "sklearn", "matplotlib", "pyarrow")
LIST_HEAVY = f"import sys; print(sorted(set({HEAVY!r}) & set(sys.modules)))"


def test_layers(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    # It would disable every logger that exists already, for the tests that come after it in this process.
    monkeypatch.setattr("importlinter.cli.logging_config.dictConfig", lambda config: None)
    status = lint_imports(config_filename="pyproject.toml", is_debug_mode=False, cache_dir=None)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


@pytest.mark.parametrize("module", MODULES)
def test_every_module_imports_and_its_public_names_are_there(module):
    if module in OPTIONAL:
        pytest.importorskip(OPTIONAL[module])
    loaded = importlib.import_module(module)
    names = getattr(loaded, "__all__", [])
    assert sorted(set(names)) == sorted(names)
    assert [name for name in names if not hasattr(loaded, name)] == []
    if module.count(".") == 1 and loaded.__spec__.submodule_search_locations and names:
        assert list(names) == sorted(names, key=_isort_key)


def test_the_package_names_what_users_need():
    assert list(obverse.__all__) == sorted(obverse.__all__)
    assert [name for name in obverse.__all__ if not getattr(obverse, name).__doc__] == []
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = obverse.nonsense


def _isort_key(name):
    """Constants, then classes, then functions, as ruff sorts `__all__`."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name


def test_the_version_is_said_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert version("obverse") == project["version"]


@pytest.mark.parametrize(
    "code",
    [
        "import obverse, obverse.cli.main",
        "import obverse; obverse.train, obverse.check, obverse.evaluate, obverse.load, obverse.compare, obverse.Run",
        "import obverse.recipe, obverse.imaging, obverse.manifest, obverse.report, obverse.errors",
        "import sys; sys.argv = ['obverse', '--help']\n"
        "from obverse.cli.main import main\n"
        "try: main()\nexcept SystemExit as stop: assert not stop.code",
        "import sys; sys.argv = ['obverse', 'train', '--help']\n"
        "from obverse.cli.main import main\n"
        "try: main()\nexcept SystemExit as stop: assert not stop.code",
    ],
    ids=["command", "Python API", "lower layers", "help", "help of a verb"],
)
def test_nothing_heavy_is_imported_by(code):
    done = subprocess.run([sys.executable, "-c", f"{code}\n{LIST_HEAVY}"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_prediction_imports_no_report_and_no_training():
    apart = ("matplotlib", "jinja2", "obverse.report", "obverse.evaluation", "obverse.training", "obverse.experiment")
    apart += ("timm", "torchvision", "torch._dynamo", "scipy")  # three times the wait for one answer
    code = f"import sys\nfrom obverse.inference import load\nprint(sorted(set({apart!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_evaluation_and_training_do_not_wait_for_what_others_need():
    """Such as the libraries of networks that are not their own: together 300 MB."""
    apart = ("timm", "torchvision", "tensorboard", "torch._dynamo", "torch.distributed.tensor", "triton")
    code = f"import sys\nimport obverse.experiment, obverse.probing\nprint(sorted(set({apart!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
