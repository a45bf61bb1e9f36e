"""Files of results: all forms hold the same rows, a kill at any byte changes nothing, nothing is overwritten."""

import json
import os
import subprocess
import sys

import pytest

import obverse
from obverse.bundle import Bundle
from obverse.data import Geometry
from obverse.errors import BusyError, OutputError, RecipeError
from obverse.inference import Failure, Predictor, as_json
from obverse.inference.results.partial import opened, partial_of
from obverse.recipe import ConvNetBackbone, ModelSpec, OutputSpec

BATCH = 4


@pytest.fixture(scope="module")
def predictor(one_view):
    return obverse.load(one_view, device="cpu")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, draw_picture):
    """Twenty-two pictures, of which two are none."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = [str(draw_picture(folder / f"p{n}.png", gray=40 + 9 * n, seed=n)) for n in range(22)]
    for number in (2, 13):
        with open(paths[number], "wb") as file:
            file.write(b"no picture")
    return paths


@pytest.fixture(scope="module")
def whole(predictor, pictures, tmp_path_factory):
    """suffix -> the finished file of a call that nobody killed."""
    folder = tmp_path_factory.mktemp("whole")
    paths = {suffix: folder / f"r{suffix}" for suffix in (".csv", ".jsonl", ".parquet")}
    for path in paths.values():
        written = predictor.predict_to(pictures, path, batch_size=BATCH)
        assert (written.num_rows, written.num_kept, written.num_failures) == (22, 0, 2)
        assert "p2.png' is unusable" in written.first_error
    return paths


def test_all_forms_hold_the_predictions(predictor, pictures, whole):
    import pyarrow.parquet as pq

    answers = list(predictor.predict_each(pictures, batch_size=BATCH))
    lines = [json.loads(line) for line in whole[".jsonl"].read_text().splitlines()]
    assert lines == [json.loads(json.dumps(as_json(answer))) for answer in answers]
    rows = pq.read_table(whole[".parquet"]).to_pylist()
    assert list(rows[0]) == whole[".csv"].read_text().splitlines()[0].split(",")
    for row, answer in zip(rows, answers, strict=True):
        assert row["id"] == answer.id
        if isinstance(answer, Failure):
            assert (row["error"], row["class_1"], row["confidence"]) == (answer.error, None, None)
        else:
            assert (row["class_1"], row["probability_1"]) == (answer.label, answer.probability)
            assert (row["error"], row["decision"]) == (None, answer.decision)
    assert not list(whole[".csv"].parent.glob("*.partial"))


class Killed(Exception):
    """Stands for a kill: nothing of ours runs after it."""


def stop_after(predictor, num_batches, monkeypatch):
    answers = predictor.answers

    def some(*args, **options):
        for number, batch in enumerate(answers(*args, **options)):
            if number == num_batches:
                raise Killed
            yield batch

    monkeypatch.setattr(predictor, "answers", some)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_kill_at_any_byte_changes_nothing(suffix, predictor, pictures, whole, tmp_path, monkeypatch):
    path = tmp_path / f"r{suffix}"
    with monkeypatch.context() as patch:
        stop_after(predictor, 4, patch)
        with pytest.raises(Killed):
            predictor.predict_to(pictures, path, batch_size=BATCH)
    assert not path.exists()
    rows = partial_of(path) / "rows"
    lines = rows.read_bytes()
    head, line = len(lines) and lines.index(b"\n") + 1, lines.rindex(b"\n", 0, -1) + 1
    for end, num_kept in ((len(lines), 16), (line, 12), (line + 5, 12), (3, 0), (head, 0), (0, 0)):
        rows.parent.mkdir(exist_ok=True)
        rows.write_bytes(lines[:end])
        written = predictor.predict_to(pictures, path, batch_size=BATCH)
        assert (written.num_kept, written.num_failures) == (num_kept, 2)
        assert path.read_bytes() == whole[suffix].read_bytes()
        assert not rows.parent.exists()
        path.unlink()


def test_a_real_kill(one_view, pictures, whole, tmp_path):
    path = tmp_path / "r.csv"
    code = f"""
import os, signal, obverse
predictor, count = obverse.load({str(one_view)!r}, device="cpu"), 0
answers = predictor.answers
def some(*args, **options):
    for number, batch in enumerate(answers(*args, **options)):
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch
predictor.answers = some
predictor.predict_to({pictures!r}, {str(path)!r}, batch_size={BATCH})
"""
    killed = subprocess.run([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    assert killed.returncode == -9
    assert (partial_of(path) / "rows").read_text().count("\n") == 1 + 3 * BATCH
    written = obverse.load(one_view, device="cpu").predict_to(pictures, path, batch_size=BATCH)
    assert written.num_kept == 3 * BATCH
    assert path.read_bytes() == whole[".csv"].read_bytes()


def test_rows_of_something_else_are_refused(predictor, pictures, trained, tmp_path, monkeypatch):
    path = tmp_path / "r.csv"
    with monkeypatch.context() as patch:
        stop_after(predictor, 1, patch)
        with pytest.raises(Killed):
            predictor.predict_to(pictures, path, batch_size=BATCH)
    before = (partial_of(path) / "rows").read_bytes()
    with pytest.raises(OutputError, match="begun with another list of pictures; "):
        predictor.predict_to(pictures[:-1], path, batch_size=BATCH)
    with pytest.raises(OutputError, match="another number of classes"):
        predictor.predict_to(pictures, path, batch_size=BATCH, top_k=1)
    with pytest.raises(OutputError, match="another shard"):
        predictor.predict_to(pictures, path, batch_size=BATCH, shard="1/1")
    with pytest.raises(OutputError, match="another model"):
        obverse.load(trained.path, device="cpu").predict_to(pictures, path, batch_size=BATCH)
    assert (partial_of(path) / "rows").read_bytes() == before


def test_nothing_is_overwritten_and_two_do_not_write_at_once(predictor, pictures, tmp_path):
    path = tmp_path / "r.jsonl"
    with opened(path, None, {}), pytest.raises(BusyError, match="another process writes"):
        predictor.predict_to(pictures, path)
    path.write_text("mine")
    with pytest.raises(OutputError, match="is there already"):
        predictor.predict_to(pictures, path)
    assert path.read_text() == "mine"
    with pytest.raises(RecipeError, match=r"\.csv, \.jsonl or \.parquet"):
        predictor.predict_to(pictures, tmp_path / "r.txt")


@pytest.mark.parametrize("count", [1, 3, 8])
def test_the_shards_together_are_the_whole(count, predictor, pictures, whole, tmp_path):
    lines = []
    for number in range(1, count + 1):
        path = tmp_path / f"{number}.jsonl"
        predictor.predict_to(pictures, path, batch_size=BATCH, shard=f"{number}/{count}")
        lines += path.read_text().splitlines(keepends=True)
    assert "".join(lines) == whole[".jsonl"].read_text()


@pytest.mark.parametrize("shard", ["0/4", "5/4", "1/0", "a/b", "1", "-1/4"])
def test_an_impossible_shard_is_refused(shard, predictor, pictures):
    with pytest.raises(RecipeError, match="write it as NUMBER/COUNT"):
        list(predictor.predict_each(pictures, shard=shard))


def test_an_empty_shard_is_a_table_without_rows(predictor, pictures, tmp_path):
    import pyarrow.parquet as pq

    path = tmp_path / "none.parquet"
    assert predictor.predict_to(pictures[:3], path, shard="1/2").num_rows == 0
    assert pq.read_table(path).num_rows == 0
    assert predictor.predict_to(pictures[:3], tmp_path / "all.csv", shard="2/2").num_rows == 3


def test_a_class_that_is_called_like_a_column_has_its_own(draw_picture, tmp_path):
    import pyarrow.parquet as pq

    bundle = Bundle(
        classes=("id", "decision", "similar_1", "class id", "plain"),
        ordered=False,
        views=("image",),
        geometry=Geometry(16, 16, 16, 16),
        mean=(0.5,) * 3,
        std=(0.2,) * 3,
        model=ModelSpec(backbone=ConvNetBackbone(widths=(4, 8))),
        output=OutputSpec(kind="binary"),
    )
    predictor = Predictor(bundle, bundle.build().eval(), device="cpu")
    picture = draw_picture(tmp_path / "p.png")
    for suffix in (".csv", ".parquet"):
        predictor.predict_to(picture, tmp_path / f"r{suffix}")
    (row,) = pq.read_table(tmp_path / "r.parquet").to_pylist()
    (answer,) = predictor.predict(picture)
    names = {"id": "class class id", "decision": "class decision", "similar_1": "class similar_1"}
    assert {name: row[names.get(name, name)] for name in bundle.classes} == answer.probabilities
    assert (row["id"], row["error"]) == (str(picture), None)
    assert (tmp_path / "r.csv").read_text().splitlines()[0].split(",") == list(row)
