"""One seed, one result: whatever the number of workers, the hash seed, the locale or the order of the folder."""

import hashlib
import os
import random
import subprocess
import sys

import pytest

from obverse.experiment import start_run
from obverse.recipe import save_recipe
from obverse.runs import RunFolder

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
ENVIRONMENTS = [
    {"PYTHONHASHSEED": "1", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "4242", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "0"},
    {"PYTHONHASHSEED": "77", "LANG": "tr_TR.UTF-8", "TZ": "Pacific/Apia"},
]


def digest(run):
    files = (run / "bundle" / "model.safetensors", run / "manifest.csv", run / "evaluation/test/predictions.npy")
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    folder = tmp_path_factory.mktemp("data")
    return draw_classes(folder, classes=("İstanbul", "ibis", "I"), per_class=8, views=("obverse", "reverse"))


@pytest.fixture
def train(data, make_recipe, tmp_path):
    def run(workers=0):
        path = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        start_run(data, make_recipe(augment={"policy": "generic"}, runtime={"num_workers": workers}), RunFolder(path))
        return digest(path)

    return run


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.full), 4])
def test_workers(train, workers):
    assert train(workers) == train(0)


def test_the_order_in_which_the_system_lists_files(train, monkeypatch):
    expected = train()
    real = os.scandir

    class Shuffled:
        def __init__(self, path):
            with real(path) as found:
                self.entries = list(found)
            random.Random(3).shuffle(self.entries)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *error):
            pass

        def __iter__(self):
            return iter(self.entries)

    monkeypatch.setattr(os, "scandir", Shuffled)
    assert train() == expected


@pytest.mark.parametrize("number", [0, *[pytest.param(n, marks=pytest.mark.full) for n in (1, 2)]])
def test_hash_seed_and_locale(train, data, make_recipe, tmp_path, number):
    expected = train()
    save_recipe(make_recipe(augment={"policy": "generic"}), tmp_path / "recipe.yaml")
    run = tmp_path / "other"
    command = [sys.executable, "-m", "obverse.cli.main", "train", data, "--run", run]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | ENVIRONMENTS[number]
    done = subprocess.run(
        [*command, "--recipe", tmp_path / "recipe.yaml"], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert digest(run) == expected
