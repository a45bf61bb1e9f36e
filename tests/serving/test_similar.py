"""Similar training pictures beside answers: those of the command line, with thumbnails by number alone."""

import asyncio
import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout

import pytest
from PIL import Image

from obverse.cli.models.predict import Format
from obverse.cli.models.predict import command as predict
from obverse.experiment import load_with_evidence, training_dataset
from obverse.explain import thumbnails_of
from obverse.report import Picture
from obverse.serving import Access, Service, TrainingPictures


@pytest.fixture(scope="module")
def picture(tmp_path_factory, draw_picture):
    return draw_picture(tmp_path_factory.mktemp("picture") / "a.png", gray=90)


def service_of(path):
    """A service of one model with three similar training pictures."""
    predictor = load_with_evidence(path, 3)
    dataset = training_dataset(path, predictor.bundle)
    ids = [sample.id for sample in dataset.samples]
    training = {"one": TrainingPictures(ids, thumbnails_of(dataset, {}))}
    return Service({"one": predictor}, training=training), dataset


@pytest.fixture(scope="module")
def similar(serve, one_view):
    service, dataset = service_of(one_view)
    with serve(service, has_page=True) as client:
        yield client, dataset


def by_command(model, path, **options):
    out = io.StringIO()
    with redirect_stdout(out):
        predict(model, [path], format=Format.json, **options)
    return json.loads(out.getvalue())[0]


def test_they_are_those_of_the_command_line(similar, one_view, picture):
    client, dataset = similar
    (row,) = client.post("/v1/predict", files={"image": picture.read_bytes()}).json()["predictions"]
    wanted = by_command(one_view, picture, similar=3)
    numbers = [each.pop("number") for each in row["similar"]]
    assert row["similar"] == wanted["similar"]
    assert row["reason"] == wanted["reason"]
    assert (row["label"], row["probability"]) == (wanted["label"], wanted["probability"])
    assert [dataset.samples[number].id for number in numbers] == [each["id"] for each in row["similar"]]


def test_a_thumbnail_is_got_by_its_number(similar, picture):
    client, dataset = similar
    (row,) = client.post("/v1/predict", files={"image": picture.read_bytes()}).json()["predictions"]
    for each in row["similar"]:
        answer = client.get(f"/v1/models/one/similar/{each['number']}")
        assert answer.status_code == 200
        ((_, address),) = (shown.values() for shown in answer.json()["pictures"])
        head, _, data = address.partition(",")
        assert head == "data:image/webp;base64"
        image = Image.open(io.BytesIO(base64.b64decode(data)))
        (wanted,) = thumbnails_of(dataset, {})(each["number"])
        assert image.tobytes() == Image.open(io.BytesIO(wanted.encoded)).tobytes()
        assert max(image.size) <= 96


@pytest.mark.parametrize(
    "number", ["-1", "99999", "9" * 30, "x", "1.0", "٣", "1e1", "..%2f..%2fetc%2fpasswd", "%00", "0x1", "0/0"]
)
def test_nothing_else_names_a_training_picture(similar, number):
    client, _ = similar
    answer = client.get(f"/v1/models/one/similar/{number}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


def test_they_are_off_by_default_and_behind_the_token(served, serve, one_view, picture):
    (row,) = served.post("/v1/predict", files={"image": picture.read_bytes()}).json()["predictions"]
    assert "similar" not in row
    answer = served.get("/v1/models/one/similar/0")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert served.get("/v1/models/none/similar/0").json()["code"] == "unknown-model"
    with serve(service_of(one_view)[0], Access("a-long-enough-secret")) as client:
        assert client.get("/v1/models/one/similar/0").status_code == 401
        headers = {"authorization": "Bearer a-long-enough-secret"}
        assert client.get("/v1/models/one/similar/0", headers=headers).status_code == 200


def test_views_are_named_and_a_vanished_picture_is_left_out(serve, trained):
    service, dataset = service_of(trained.path)
    with serve(service) as client:
        pictures = client.get("/v1/models/one/similar/0").json()["pictures"]
        assert [each["view"] for each in pictures] == ["obverse", "reverse"]
        file = dataset.manifest.root / dataset.samples[1].views["reverse"]
        data = file.read_bytes()
        file.unlink()
        try:
            pictures = client.get("/v1/models/one/similar/1").json()["pictures"]
        finally:
            file.write_bytes(data)
    assert "reverse" not in [each["view"] for each in pictures]


def test_a_sample_is_decoded_once():
    read = []

    def thumbnails(row):
        read.append(row)
        return (Picture(b"x"),)

    pictures = TrainingPictures(["a", "b"], thumbnails)

    async def ask():
        return await asyncio.gather(*(pictures.pictures(number) for number in "0101100"))

    # In a thread of its own: the browser's tests leave a loop in this one.
    with ThreadPoolExecutor(1) as thread:
        answers = thread.submit(lambda: asyncio.run(ask())).result()
    assert [each[0].encoded for each in answers] == [b"x"] * 7
    assert sorted(read) == [0, 1]
    assert pictures.number("b") == 1
