"""Maps beside answers: the answer stays what it is, and nobody waits for the maps of others."""

import asyncio
import base64
import io
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from obverse.engines import MirrorEngine
from obverse.errors import RecipeError
from obverse.inference import Predictor, load, map_prepared, predict_prepared, prepare
from obverse.serving import Limits, Service, lane
from obverse.serving.counters import Counters
from obverse.serving.refusals import Refusal
from obverse.serving.sample import Sample


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, draw_picture):
    folder = tmp_path_factory.mktemp("pictures")
    sizes = [(20, 30), (64, 40), (33, 33)]
    return [
        draw_picture(folder / f"{n}.png", gray=50 + 60 * n, size=size, seed=n).read_bytes()
        for n, size in enumerate(sizes)
    ]


def ask(client, *samples, path="/v1/predict", **data):
    return client.post(path, files=[("image", ("x", picture)) for picture in samples], data=data)


def size_of(shown):
    """(height, width), and whether something is to be seen."""
    head, _, data = shown["picture"].partition(",")
    assert head == "data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.mode == "RGBA"
    return image.size[::-1], bool(np.asarray(image)[..., 3].any())


def test_maps_come_beside_unchanged_answers_in_the_shape_of_each_picture(served, pictures):
    plain = ask(served, *pictures).json()["predictions"]
    mapped = ask(served, *pictures, maps="true").json()["predictions"]
    maps = [row.pop("maps") for row in mapped]
    assert [row["label"] for row in mapped] == [row["label"] for row in plain]
    for one, other in zip(mapped, plain, strict=True):
        assert one["probability"] == pytest.approx(other["probability"], rel=1e-5)
    assert [size_of(each["image"]) for each in maps] == [((20, 30), True), ((64, 40), True), ((33, 33), True)]
    alone = [ask(served, picture, maps="true").json()["predictions"][0]["maps"] for picture in pictures]
    assert alone == maps
    assert ask(served, pictures[0], path="/v1/predict?maps=true").json()["predictions"][0]["maps"] == maps[0]
    (row,) = ask(served, pictures[0], maps="false").json()["predictions"]
    assert row == plain[0] | {"probability": row["probability"], "top": row["top"], "confidence": row["confidence"]}


def test_every_view_that_is_there_has_its_map(served, pictures):
    path = "/v1/models/coins/predict"
    files = {"obverse": pictures[0], "reverse": pictures[1]}
    (row,) = served.post(path, files=files, data={"maps": "true"}).json()["predictions"]
    assert [(view, size_of(each)[0]) for view, each in row["maps"].items()] == [
        ("obverse", (20, 30)), ("reverse", (64, 40))
    ]  # fmt: skip
    (row,) = served.post(path, files={"reverse": pictures[1]}, data={"maps": "true"}).json()["predictions"]
    assert list(row["maps"]) == ["reverse"]
    assert [each["has_maps"] for each in served.get("/v1/models").json()["models"]] == [True, True]


@pytest.mark.parametrize("value", ["foo", "", "1", "True", "true,true", "x" * 999])
def test_another_value_than_true_and_false_is_refused(served, pictures, value):
    for answer in (ask(served, pictures[0], maps=value), ask(served, pictures[0], path=f"/v1/predict?maps={value}")):
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-parameter")
        assert "maps must be true or false" in answer.json()["error"]


def test_more_maps_than_a_request_may_have_are_refused(served, pictures):
    answer = ask(served, *pictures * 3, maps="true")
    assert (answer.status_code, answer.json()["code"]) == (413, "too-many")
    assert ask(served, *pictures * 3).status_code == 200


def test_a_bad_picture_is_a_row_beside_maps(served, pictures):
    rows = ask(served, pictures[0], b"no picture", maps="true").json()["predictions"]
    assert ["maps" in row for row in rows] == [True, False]
    assert rows[1]["code"] == "bad-picture"


def answer(predictor, picture, **limits):
    service = Service({"one": predictor}, Limits(**limits))
    try:
        sample = Sample("x", {"image": picture})
        # In a thread of its own: the browser's tests leave a loop in this one.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(service.answer(service.lane(), [sample], has_maps=True))).result()
    finally:
        service.close()


def test_a_server_without_maps_says_so(one_view, pictures):
    """For an engine without gradients, and for who wants none."""
    plain = load(one_view)
    other = Predictor(plain.bundle, MirrorEngine(plain.engine))
    for predictor, num in ((other, 8), (plain, 0)):
        with pytest.raises(Refusal, match="this server makes no maps of this model") as refusal:
            answer(predictor, pictures[0], max_maps=num)
        assert refusal.value.status == 400


def test_a_network_without_a_quick_map_says_so(one_view, pictures, monkeypatch):
    def fail(*_):
        raise RecipeError("this network has no quick map of where it looks")

    monkeypatch.setattr(lane, "map_prepared", fail)
    (refusal,) = answer(load(one_view), pictures[0])
    assert (refusal.code, refusal.message) == ("bad-parameter", "this network has no quick map of where it looks")


@pytest.fixture
def held(monkeypatch):
    """Hold the model until the event is set. Gives the event, and what the model did: sizes of batches, and maps."""
    event, done = threading.Event(), []

    def predict(predictor, samples, *, top_k):
        done.append(len(samples))
        assert event.wait(60)
        return predict_prepared(predictor, samples, top_k=top_k)

    def draw(predictor, sample, label):
        done.append("map")
        assert event.wait(60)
        return map_prepared(predictor, sample, label)

    monkeypatch.setattr(lane, "predict_prepared", predict)
    monkeypatch.setattr(lane, "map_prepared", draw)
    yield event, done
    event.set()


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def gauge(client, name):
    (line,) = (line for line in client.get("/metrics").text.splitlines() if line.startswith(f"{name}{{"))
    return float(line.split()[-1])


def test_between_two_batches_of_answers_is_one_map(one_view, held):
    event, done = held
    predictor = load(one_view)
    prepared = prepare(predictor, {"image": np.full((20, 30, 3), 90, np.uint8)})
    of_one = lane.Lane("one", predictor, Limits(max_batch=2), Counters())
    futures = [of_one.submit(prepared, math.inf)]
    wait_until(lambda: done)
    futures += [of_one.submit_maps(prepared, "dark", math.inf) for _ in range(5)]
    futures += [of_one.submit(prepared, math.inf) for _ in range(6)]
    event.set()
    assert all(future.result(30) for future in futures)
    of_one.close()
    assert done == [1, "map", 2, "map", 2, "map", 2, "map", "map"]


def test_requests_for_maps_leave_room_for_others(run_server, one_view, pictures, held):
    event, done = held
    limits = Limits(max_queue=8, deadline_seconds=60)
    with run_server({"one": one_view}, limits) as client, ThreadPoolExecutor(8) as threads:
        mapped = [threads.submit(ask, client, pictures[0], maps="true") for _ in range(2)]
        wait_until(lambda: gauge(client, "obverse_requests_in_progress") == 2)
        refused = ask(client, pictures[0], maps="true")
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        plain = [threads.submit(ask, client, pictures[n]) for n in range(3)]
        wait_until(lambda: gauge(client, "obverse_requests_in_progress") == 5)
        event.set()
        assert {future.result().status_code for future in mapped + plain} == {200}
    assert done.count("map") == 2


def test_maps_that_would_come_too_late_are_not_made(one_view, held):
    event, done = held
    event.set()
    predictor = load(one_view)
    prepared = prepare(predictor, {"image": np.full((20, 30, 3), 90, np.uint8)})
    of_one = lane.Lane("one", predictor, Limits(), Counters())
    late = of_one.submit_maps(prepared, "dark", time.monotonic() - 1).exception(30)
    assert (late.code, late.status) == ("too-late", 503)
    assert done == []
    assert of_one.submit_maps(prepared, "dark", math.inf).result(30)["image"].png
    of_one.close()
    with pytest.raises(Refusal, match="stopping"):
        of_one.submit_maps(prepared, "dark", math.inf)
