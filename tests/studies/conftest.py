"""The sweep of a file, over few and tiny pictures."""

import textwrap

import pytest

from obverse.recipe import load_sweep
from obverse.studies.sweep import Sweep

from .sweeps import BASE, VARIANTS, Log


@pytest.fixture
def without_pictures(monkeypatch):
    """Drawing is half of so small a run."""
    monkeypatch.setattr(
        "obverse.evaluation.one_class.tables.plot_confusion", lambda counts, classes, path: path.touch()
    )
    monkeypatch.setattr("obverse.experiment.train.plot_history", lambda history, path: path.touch())


@pytest.fixture
def study(draw_classes, tmp_path, without_pictures):
    """study(text, out) makes the sweep of a file with that text."""
    data = draw_classes(tmp_path / "data", per_class=8)
    (tmp_path / "base.yaml").write_text(BASE)

    def make(text=VARIANTS, out="out", *, log=None, **options):
        file = tmp_path / "study.yaml"
        file.write_text(textwrap.dedent(text))
        observer = log or Log()
        return Sweep(load_sweep(file), file, data, tmp_path / out, make_observers=lambda: (observer,), **options)

    return make
