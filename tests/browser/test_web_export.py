"""The exported page in Chromium gives the answers of ONNX Runtime, and nothing leaves the browser."""

import base64
import functools
import http.server
import io
import json
import re
import shutil
import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from obverse.cli.models.export import command
from obverse.engines import OnnxSession
from obverse.errors import UnavailableError
from obverse.export import TrainedModel, samples
from obverse.export.graph import Names
from obverse.export.web import folder, runtime_files
from obverse.imaging import Part, decode_picture
from obverse.manifest import Column, encode

playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
expect = playwright.expect
# The first answer waits until the browser has compiled the runtime.
expect.set_options(timeout=30_000)

ANSWER = re.compile("dark|light")
MARKUP = "</script><img src=x onerror=alert(1)>"
ASK = """async ([sample, cells]) => {
  const file = ([view, text]) => [view, new File([Uint8Array.from(atob(text), each => each.charCodeAt(0))], view)];
  const views = new Map(Object.entries(sample).map(file));
  return (await backend.predict(null, [{ views, columns: new Map(Object.entries(cells)) }]))[0];
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def serving(root):
    """The address of a plain server of a folder, and the paths that it was asked for."""
    paths = []

    class Counting(Quiet):
        def do_GET(self):
            paths.append(self.path)
            super().do_GET()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Counting, directory=root))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", paths
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def folders(one_view, trained, checked_coins, tmp_path_factory):
    """Exported pages of a model of one view, `one`, and one of two views, `coins`."""
    try:
        runtime_files()
    except UnavailableError as error:
        pytest.skip(str(error))
    root = tmp_path_factory.mktemp("web")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "NUM_SAMPLES", 4)
        command(one_view, "web", out=root / "one")
        patch.setattr(folder, "checked", lambda _: checked_coins)
        command(trained.path, "web", out=root / "coins")
    return root


@pytest.fixture(scope="session")
def site(folders):
    with serving(folders) as (address, _):
        yield address


def png(size, seed, **options):
    height, width = size
    shape = (height, width, 4 if options.pop("has_alpha", False) else 3)
    rows = np.linspace(0, 150, height)[:, None, None] + np.random.default_rng(seed).normal(60, 30, shape)
    return encoded(Image.fromarray(rows.clip(0, 255).astype(np.uint8)), "PNG", **options)


def encoded(image, format, **options):
    data = io.BytesIO()
    image.save(data, format, **options)
    return data.getvalue()


def upload(name, data):
    return {"name": name, "mimeType": "image/png", "buffer": data}


def wanted(root, pictures, present=None):
    """Probabilities by ONNX Runtime of pictures as Obverse decodes them."""
    inputs = {view: decode_picture(data)[None] for view, data in pictures.items()}
    if present:
        inputs["present"] = np.array([present])
    return OnnxSession((root / "model.onnx").read_bytes()).run(inputs)["probabilities"][0]


def ask(page, pictures, cells=()):
    """The row that the page's model answers."""
    return page.evaluate(ASK, [{view: base64.b64encode(data).decode() for view, data in pictures.items()}, dict(cells)])


def given(row):
    return np.array([row["top"][place]["probability"] for place in np.argsort([each["label"] for each in row["top"]])])


def test_answers_are_those_of_onnx_runtime(open_in_browser, folders, site):
    page = open_in_browser(f"{site}one/", 1200)
    expect(page.locator("#boxes")).to_be_visible()
    large = np.repeat(np.linspace(0, 255, 2100).astype(np.uint8)[:, None], 2300, 1)  # more than is read at once
    pictures = [
        png((48, 64), 1),
        png((333, 217), 2),
        png((90, 40), 3, has_alpha=True),
        encoded(Image.fromarray(large), "PNG"),
    ]
    gray = encoded(Image.open(io.BytesIO(pictures[1])).convert("L"), "PNG")
    palette = encoded(Image.open(io.BytesIO(pictures[1])).convert("P"), "PNG")
    for data in (*pictures, gray, palette):
        row = ask(page, {"image": data})
        np.testing.assert_allclose(given(row), wanted(folders / "one", {"image": data}), atol=1e-4)
        assert row["label"] == row["top"][0]["label"]


def test_answers_for_two_views_and_for_one_of_them(open_in_browser, folders, site):
    page = open_in_browser(f"{site}coins/", 1200)
    expect(page.locator("#boxes")).to_be_visible()
    pictures = {"obverse": png((48, 64), 1), "reverse": png((333, 217), 2)}
    row = ask(page, pictures)
    np.testing.assert_allclose(given(row), wanted(folders / "coins", pictures, [True, True]), atol=1e-4)
    alone = ask(page, {"reverse": pictures["reverse"]})
    np.testing.assert_allclose(given(alone), wanted(folders / "coins", pictures, [False, True]), atol=1e-4)


def test_a_turned_photograph_is_upright(open_in_browser, folders, site):
    page = open_in_browser(f"{site}one/", 1200)
    expect(page.locator("#boxes")).to_be_visible()
    image, exif = Image.open(io.BytesIO(png((120, 60), 5))), Image.Exif()
    exif[0x0112] = 6
    turned = encoded(image, "JPEG", quality=100, subsampling=0, exif=exif)
    row = ask(page, {"image": turned})
    upright, sideways = (wanted(folders / "one", {"image": data}) for data in (turned, encoded(image, "PNG")))
    np.testing.assert_allclose(given(row), upright, atol=2e-3)
    assert np.abs(upright - sideways).max() > 1e-2


def test_the_page_says_the_answer_and_what_is_missing(open_in_browser, folders, site):
    page = open_in_browser(f"{site}coins/", 1200)
    page.get_by_label("obverse: choose a picture").set_input_files(upload("a.png", png((40, 40), 1)))
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("#answer h3")).to_have_text(ANSWER)
    expect(page.locator("#answer")).to_contain_text("Without reverse: the answer is from the other views.")
    assert page.locator("#answer button, #answer .similar").count() == 0  # no server, no maps
    # The run's val is too small for a promise.
    expect(page.locator("#answer")).to_contain_text("In 90 of 100 cases the right answer is among all classes")
    expect(page.locator("#answer .verdict.review")).to_have_text("A person should look at this.")
    page.get_by_label("reverse: choose a picture").set_input_files(upload("b.png", b"no picture"))
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text(
        "There is no answer. Reverse: not a picture that this browser can read."
    )
    page.locator("#files").set_input_files(
        [upload("c_obverse.png", png((40, 40), 1)), upload("c_reverse.png", png((9, 9), 1))]
    )
    expect(page.get_by_role("status")).to_have_text("1 of 1 answered.")
    assert page.locator("#head th").all_inner_texts() == ["object", "answer", "confidence", "set", "decision", "error"]
    assert [text for text in page.messages if not text.startswith((site, "blob:", "data:,"))] == []


def test_nothing_can_be_sent_elsewhere(open_in_browser, site, tmp_path):
    """Neither by the page nor by a worker as it starts one."""
    page = open_in_browser(f"{site}one/", 1200)
    expect(page.locator("#boxes")).to_be_visible()
    with serving(tmp_path) as (elsewhere, paths):
        send = f"fetch('{elsewhere}picture', {{mode: 'no-cors'}}).then(() => 'sent', () => 'refused')"
        assert page.evaluate(send) == "refused"
        in_worker = f"{send}.then(postMessage)"
        code = f"""new Promise(resolve => {{
          const blob = new Blob([{json.dumps(in_worker)}], {{type: "text/javascript"}});
          new Worker(URL.createObjectURL(blob), {{type: "module"}}).onmessage = event => resolve(event.data);
        }})"""
        assert page.evaluate(code) == "refused"
        assert paths == []


def test_names_with_markup_are_text(open_in_browser, folders, tmp_path):
    shutil.copytree(folders / "one", tmp_path / "page")
    described = json.loads((tmp_path / "page/model.json").read_text())
    described |= {"name": MARKUP, "classes": [f"{MARKUP}{number}" for number in range(3)]}
    (tmp_path / "page/model.json").write_text(json.dumps(described))
    with serving(tmp_path / "page") as (address, _):
        page = open_in_browser(address, 1200)
        page.get_by_label("Picture: choose a picture").set_input_files(upload(f"{MARKUP[-20:]}.png", png((20, 20), 1)))
        page.get_by_role("button", name="Ask", exact=True).click()
        expect(page.locator("#answer h3")).to_contain_text(MARKUP)
        assert page.get_by_role("heading", level=1).inner_text() == MARKUP
        assert [text for text in page.messages if not text.startswith((address, "blob:", "data:,"))] == []


def test_what_is_missing_is_said(open_in_browser, folders, tmp_path):
    page = open_in_browser(folders / "one/index.html", 1200)
    expect(page.locator("#about")).to_contain_text("python -m http.server")
    shutil.copytree(folders / "one", tmp_path / "page")
    (tmp_path / "page/model.onnx").write_bytes(b"no model")
    with serving(tmp_path / "page") as (address, _):
        page = open_in_browser(address, 1200)
        page.get_by_label("Picture: choose a picture").set_input_files(upload("a.png", png((20, 20), 1)))
        page.get_by_role("button", name="Ask", exact=True).click()
        expect(page.get_by_role("alert")).not_to_be_empty()
        assert "There is no answer. The model cannot be loaded" in page.get_by_role("alert").inner_text()


def echo():
    """A graph whose probabilities are the mean levels of two views, `present`, and the columns.

    The answer has those above 1/2, the set those above 3/2, and the decision is to reject.
    """
    from onnx import TensorProto as Types
    from onnx import helper

    node, info = helper.make_node, helper.make_tensor_value_info
    nodes = []
    for view in ("left", "right"):
        nodes += [node("Cast", [view], [f"{view}_"], to=Types.FLOAT), node("ReduceMean", [f"{view}_"], [f"{view}__"])]
        nodes.append(node("Reshape", [f"{view}__", "row"], [f"{view}_mean"]))
    nodes += [
        node("Cast", ["present"], ["present_"], to=Types.FLOAT),
        node("Concat", ["left_mean", "right_mean", "present_", "columns"], ["probabilities"], axis=1),
        node("Greater", ["probabilities", "half"], ["answer"]),
        node("Greater", ["probabilities", "more"], ["set"]),
        node("Identity", ["two"], ["decision"]),
        node("ReduceMax", ["probabilities"], ["confidence"], keepdims=0),
    ]
    inputs = [info(view, Types.UINT8, ["n", f"h_{view}", f"w_{view}", 3]) for view in ("left", "right")]
    inputs += [info("present", Types.BOOL, ["n", 2]), info("columns", Types.FLOAT, ["n", 3])]
    kinds = {"probabilities": Types.FLOAT, "answer": Types.BOOL, "confidence": Types.FLOAT, "set": Types.BOOL}
    kinds["decision"] = Types.INT64
    constants = [
        helper.make_tensor("row", Types.INT64, [2], [1, 1]),
        helper.make_tensor("half", Types.FLOAT, [], [0.5]),
        helper.make_tensor("more", Types.FLOAT, [], [1.5]),
        helper.make_tensor("two", Types.INT64, [1], [2]),
    ]
    graph = helper.make_graph(
        nodes, "echo", inputs, [info(name, kind, None) for name, kind in kinds.items()], constants
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return model.SerializeToString()


def test_parts_columns_and_label_sets_reach_the_graph_as_in_prediction(open_in_browser, folders, trained, tmp_path):
    parts = tuple(Part(0, column, 1, 2) for column in range(2))
    columns = (Column("mint", "category", ("D", "P")), Column("year", "number", mean=1900.0, std=7.0),
               Column("weight", "number", mean=2.0, std=0.5))  # fmt: skip
    model = TrainedModel.read(trained.path)
    bundle = replace(model.bundle, views=("left", "right"), columns=columns, parts=parts, classes=tuple("abcdefg"))
    model = replace(model, bundle=bundle)
    described = folder.description("echo", model, Names.of(bundle, model.classifier)) | {"is_label_set": True}
    shutil.copytree(folders / "coins", tmp_path / "page")
    (tmp_path / "page/model.json").write_text(json.dumps(described))
    (tmp_path / "page/model.onnx").write_bytes(echo())
    data, cells = png((30, 41), 1), {"mint": "P", "year": "1909", "weight": ""}
    pixels = decode_picture(data)
    means = [part.of(pixels).mean() for part in parts]
    wanted = [*means, 1, 1, *(encode(column, cells[column.name], "") for column in columns)]
    with serving(tmp_path / "page") as (address, _):
        page = open_in_browser(address, 1200)
        expect(page.locator("#boxes")).to_be_visible()
        row = ask(page, {"image": data}, cells)
        np.testing.assert_allclose(list(row["probabilities"].values()), wanted, rtol=1e-6)
        assert [each["label"] for each in row["labels"]] == [*"abcdef"]
        assert (row["set"], row["set_words"], row["set_level"], row["decision"]) == (
            [*"abe"],
            "a, b and e",
            0.9,
            "reject",
        )
        assert "year: 19o9 is not a number" in ask(page, {"image": data}, {"year": "19o9"})["error"]
        page.get_by_label("Picture: choose a picture").set_input_files(upload("a.png", data))
        page.get_by_label("year").fill("1909")
        page.get_by_role("button", name="Ask", exact=True).click()
        expect(page.locator("#answer h3")).to_have_text("a, b, c, d, f")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_accessibility_and_width(open_in_browser, site, scheme, width, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    # The policy of the page lets no foreign script in, not even this examination's.
    options = {"color_scheme": scheme, "has_touch": width < 500, "is_mobile": width < 500, "bypass_csp": True}
    page = open_in_browser(f"{site}coins/", width, **options)
    for view in ("obverse", "reverse"):
        page.get_by_label(f"{view}: choose a picture").set_input_files(upload("a.png", png((60, 90), 1)))
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("#answer h3")).to_have_text(ANSWER)
    assert page.get_by_label("obverse: photograph").get_attribute("capture") == "environment"
    assert page.get_by_text("Photograph", exact=True).first.is_visible() == (width < 500)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    results = axe.Axe().run(page)
    assert [(each["id"], each["nodes"][0]["target"]) for each in results.response["violations"]] == []
    page.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)
    assert (tmp_path / f"{width}-{scheme}.png").stat().st_size > 10_000
