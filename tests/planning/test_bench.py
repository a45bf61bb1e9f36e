"""The speed of a model by engine, threads and batch size, beside the limit of the processor."""

import json

import pytest
import torch
from typer.testing import CliRunner

from obverse.bundle import read_bundle
from obverse.cli.main import app
from obverse.errors import ObverseError, RecipeError, UnavailableError
from obverse.planning import bench


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(bench, "SIDE", 64)


def test_every_combination_is_a_row_with_its_share_of_the_limit(trained):
    steps = []
    result = bench.measure_speed(
        *read_bundle(trained.path), engines=("torch",), threads=(1, 2), seconds=0, progress=steps.append
    )
    assert [(row.engine, row.threads, row.batch_size) for row in result.rows] == [
        ("torch", 1, 1), ("torch", 1, 16), ("torch", 2, 1), ("torch", 2, 16)
    ]  # fmt: skip
    assert len(steps) == 6
    for row in result.rows:
        assert 0 < row.p50_ms <= row.p95_ms
        assert row.gflops == pytest.approx(row.samples_per_second * result.gflop_per_sample)
        assert row.share_of_limit == pytest.approx(row.gflops / result.limit_gflops[row.threads])
    assert torch.get_num_threads() == 1


def test_a_row_is_the_median_the_slow_end_and_the_rate():
    row = bench._row("torch", 2, 10, [0.1] * 9 + [1.1], flops=2_000_000_000, limit=100.0)
    assert (row.p50_ms, row.p95_ms) == (pytest.approx(100), pytest.approx(650))
    assert (row.samples_per_second, row.gflops, row.share_of_limit) == pytest.approx((50, 100, 1))


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--threads", "100000"), 2, "--threads"),
        (("--threads", "0"), 2, "--threads"),
        (("--engine", "auto"), 2, "no engine `auto`; choose torch, onnx, openvino"),
        (("--batch", "99999999999"), 71, "out of memory; try a smaller --batch"),
    ],
)
def test_nonsense_is_one_sentence(trained, options, code, words):
    arguments = ["bench", str(trained.path), "--engine", "torch", "--threads", "1", "--seconds", "0", *options]
    result = CliRunner().invoke(app, arguments[: 2 if options[0] == "--engine" else None] + list(options))
    told = str(result.exception) if isinstance(result.exception, ObverseError) else result.output
    assert (getattr(result.exception, "exit_code", result.exit_code), words in told) == (code, True), told


def test_operations_are_those_of_all_products():
    from obverse.bundle import Bundle
    from obverse.data import Geometry
    from obverse.recipe import OutputSpec, build_recipe

    spec = build_recipe({"model": {"backbone": {"kind": "timm", "name": "resnet18", "pretrained": "none"}}}, "x").model
    bundle = Bundle(("a", "b"), False, ("image",), Geometry(64, 64, 64, 64), (0.5,) * 3, (0.5,) * 3, spec, OutputSpec())
    # resnet18 has 1.814 G multiplications at 224 x 224 (He et al. 2016: 1.8), here 64 x 64
    assert bench._flops(bundle, bundle.build().eval()) == pytest.approx(2 * 1.814e9 * (64 / 224) ** 2, rel=0.01)


def test_the_verb_prints_rows_and_limit(trained):
    arguments = ["bench", str(trained.path), "--engine", "torch", "--threads", "1", "--batch", "2", "--seconds", "0"]
    table = CliRunner().invoke(app, arguments)
    assert table.exit_code == 0
    header, row, limit, machine = table.stdout.splitlines()
    assert header.split()[:3] == ["engine", "threads", "batch"]
    assert row.split()[:3] == ["torch", "1", "2"]
    assert limit.startswith("matrix product")
    assert limit.endswith("100%")
    assert "GFLOP per sample" in machine
    values = json.loads(CliRunner().invoke(app, [*arguments, "--format", "json"]).stdout)
    assert [(row["engine"], row["batch_size"]) for row in values["rows"]] == [("torch", 2)]
    assert values["limit_gflops"]["1"] > 0


def test_unknown_and_missing_engines(trained, monkeypatch):
    model = read_bundle(trained.path)
    with pytest.raises(RecipeError, match="no engine `tensorrt`"):
        bench.measure_speed(*model, engines=("tensorrt",))
    monkeypatch.setattr(bench, "installed_engines", lambda: ["torch"])
    with pytest.raises(UnavailableError, match="pip install"):
        bench.measure_speed(*model, engines=("onnx",))
