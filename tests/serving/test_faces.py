"""Three protocols, one handler: each gives the command line's answers."""

import base64
import io
import json
from contextlib import redirect_stdout

import numpy as np
import pytest

from obverse.imaging import decode_picture
from obverse.inference import load


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, draw_picture):
    folder = tmp_path_factory.mktemp("pictures")
    return [draw_picture(folder / f"{n}.png", gray=50 + 60 * n, size=(20 + n, 30), seed=n) for n in range(4)]


def by_command(model, *arguments):
    """Predictions of the command line, without the names of files."""
    from obverse.cli.models.predict import Format, command

    paths = [path for path in arguments if "=" not in str(path)]
    views = [view for view in arguments if "=" in str(view)]
    out = io.StringIO()
    with redirect_stdout(out):
        command(model, paths, view=views or None, format=Format.json, top_k=2)
    return [{name: value for name, value in row.items() if name != "id"} for row in json.loads(out.getvalue())]


def by_server(answer):
    return [
        {name: value for name, value in row.items() if name not in ("id", "set_words")}
        for row in answer.json()["predictions"]
    ]


def test_one_picture_gets_exactly_the_answer_of_the_command_line(served, one_view, pictures):
    for path in pictures:
        answer = served.post("/v1/predict?top_k=2", files={"image": (path.name, path.read_bytes())})
        assert answer.json()["predictions"][0]["id"] == path.name
        assert by_server(answer) == by_command(one_view, path)
        whole = served.post("/v1/predict?top_k=2", content=path.read_bytes(), headers={"content-type": "image/png"})
        assert by_server(whole) == by_server(answer)


def test_views_are_parts_of_the_form(served, trained, pictures):
    front, back = pictures[:2]
    files = {"obverse": front.read_bytes(), "reverse": back.read_bytes()}
    answer = served.post("/v1/models/coins/predict", files=files, data={"top_k": "2"})
    assert by_server(answer) == by_command(trained.path, f"obverse={front}", f"reverse={back}")
    alone = served.post("/v1/predict", files={"reverse": back.read_bytes()}, data={"model": "coins", "top_k": "2"})
    assert by_server(alone) == by_command(trained.path, f"reverse={back}")


def test_several_samples_keep_their_order_and_one_bad_picture_is_a_row(served, one_view, pictures):
    bodies = [*(path.read_bytes() for path in pictures), b"no picture"]
    files = [("image", (f"{n}.png", body)) for n, body in enumerate(bodies)]
    answer = served.post("/v1/predict", files=files)
    rows = answer.json()["predictions"]
    assert answer.status_code == 200
    assert [row["id"] for row in rows] == [f"{n}.png" for n in range(5)]
    assert rows[4]["code"] == "bad-picture"
    alone = [load(one_view).predict(path)[0] for path in pictures]
    np.testing.assert_allclose([row["probability"] for row in rows[:4]], [each.probability for each in alone], 1e-5)
    assert [row["label"] for row in rows[:4]] == [each.label for each in alone]


def test_named_samples_may_lack_views(served, pictures):
    one, two, three = (path.read_bytes() for path in pictures[:3])
    files = [("x.obverse", ("a", one)), ("y.reverse", ("b", two)), ("x.reverse", ("c", three))]
    rows = served.post("/v1/models/coins/predict", files=files).json()["predictions"]
    assert [(row["id"], sorted(row["by_view"])) for row in rows] == [("x", ["obverse", "reverse"]), ("y", ["reverse"])]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([("side", b"x")], "names no view of the model"),
        ([("obverse", b"x"), ("obverse", b"y"), ("reverse", b"z")], "unequal numbers"),
        ([("x.obverse", b"x"), ("x.obverse", b"y")], "two pictures of one view"),
    ],
)
def test_unclear_forms_are_refused_in_words(served, files, words):
    answer = served.post("/v1/models/coins/predict", files=[(name, ("f", data)) for name, data in files])
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-parameter")
    assert words in answer.json()["error"]


def test_the_client_of_hugging_face(served, one_view, pictures):
    hub = pytest.importorskip("huggingface_hub")
    client = hub.InferenceClient(model=str(served.base_url).rstrip("/") + "/models/one", token="unused")
    for path in pictures:
        (wanted,) = by_command(one_view, path)
        got = client.image_classification(path.read_bytes(), top_k=2)
        assert [(each.label, each.score) for each in got] == [(e["label"], e["probability"]) for e in wanted["top"]]
    body = {"inputs": base64.b64encode(pictures[0].read_bytes()).decode(), "parameters": {"top_k": 1}}
    answer = served.post("/", json=body)
    assert answer.json()[0]["score"] == by_command(one_view, pictures[0])[0]["probability"]
    assert answer.headers["x-obverse-decision"] == "review"


def test_the_hugging_face_task_reads_no_addresses_and_applies_no_other_function(served, pictures):
    for inputs in ("https://example.org/a.jpg", str(pictures[0]), "file:///etc/passwd"):
        assert served.post("/", json={"inputs": inputs}).json()["code"] == "bad-parameter"
    encoded = base64.b64encode(pictures[0].read_bytes()).decode()
    answer = served.post("/", json={"inputs": encoded, "parameters": {"function_to_apply": "none"}})
    assert answer.json()["code"] == "bad-parameter"
    assert served.post("/models/coins", content=pictures[0].read_bytes()).json()["code"] == "bad-sample"


def outputs_of(result):
    return {
        "label": result.as_numpy("label").item().decode(),
        "decision": result.as_numpy("decision").item().decode(),
        "reason": result.as_numpy("reason").item().decode(),
        "set": result.as_numpy("set").item().decode().split("|"),
        "probability": result.as_numpy("confidence").item(),
    }


def test_the_client_of_triton(served, trained, pictures):
    triton = pytest.importorskip("tritonclient.http")
    client = triton.InferenceServerClient(served.base_url.netloc.decode())
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("coins")
    metadata = client.get_model_metadata("coins")
    inputs = []
    for tensor, path in zip(metadata["inputs"], pictures, strict=False):
        inputs.append(triton.InferInput(tensor["name"], [1], "BYTES"))
        inputs[-1].set_data_from_numpy(np.array([path.read_bytes()], object))
    (wanted,) = by_command(trained.path, f"obverse={pictures[0]}", f"reverse={pictures[1]}")
    assert outputs_of(client.infer("coins", inputs)) == {name: wanted[name] for name in outputs_of(
        client.infer("coins", inputs))}  # fmt: skip
    for place, path in enumerate(pictures[:2]):
        pixels = decode_picture(path.read_bytes())[None]
        inputs[place] = triton.InferInput(metadata["inputs"][place]["name"], pixels.shape, "UINT8")
        inputs[place].set_data_from_numpy(pixels)
    wanted_outputs = [triton.InferRequestedOutput("probabilities", binary_data=False)]
    result = client.infer("coins", inputs, outputs=wanted_outputs, request_id="seven")
    assert result.get_response()["id"] == "seven"
    top = {each["label"]: each["probability"] for each in wanted["top"]}
    assert result.as_numpy("probabilities").tolist() == [[top["dark"], top["light"]]]


def test_the_client_of_triton_hears_why(served):
    triton = pytest.importorskip("tritonclient.http")
    client = triton.InferenceServerClient(served.base_url.netloc.decode())
    tensor = triton.InferInput("image", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([b"no picture"], object))
    with pytest.raises(triton.InferenceServerException, match="sample 0: image: not a picture"):
        client.infer("one", [tensor])
    with pytest.raises(triton.InferenceServerException, match="there is no such model"):
        client.infer("two", [tensor])


TENSOR = {"name": "image", "datatype": "BYTES", "shape": [1], "data": ["eA=="]}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[" * 100_000,
        b"NaN",
        {"inputs": []},
        {"inputs": [{**TENSOR, "shape": [10**30]}]},
        {"inputs": [{**TENSOR, "shape": [-1]}]},
        {"inputs": [{**TENSOR, "shape": [2]}]},
        {"inputs": [{**TENSOR, "data": [1]}]},
        {"inputs": [{**TENSOR, "name": "other"}]},
        {"inputs": [TENSOR, TENSOR]},
        {"inputs": [{**TENSOR, "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [1, 2, 3]}]},
        {"inputs": [{**TENSOR, "parameters": {"binary_data_size": 9}}]},
        {"inputs": [TENSOR], "outputs": [{"name": ["x"]}]},
    ],
)
def test_damaged_tensors_are_refused(served, body):
    content = body if isinstance(body, bytes) else json.dumps(body)
    answer = served.post("/v2/models/one/infer", content=content)
    assert answer.status_code in (400, 413)
    assert answer.json()["code"] in ("bad-json", "bad-tensor", "too-many")
