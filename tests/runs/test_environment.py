"""What environment.json records of the libraries."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version

import pytest

from obverse.runs import describe_environment

rundir = importlib.import_module("obverse.runs.rundir")


def test_the_libraries_that_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_transformers(name: str) -> str:
        if name == "transformers":
            raise PackageNotFoundError(name)
        return version(name)

    whole = describe_environment()["libraries"]
    assert whole == {name: version(name) for name in rundir.LIBRARIES}
    assert "transformers" in whole
    monkeypatch.setattr(rundir, "version", without_transformers)
    assert describe_environment()["libraries"] == {k: v for k, v in whole.items() if k != "transformers"}
