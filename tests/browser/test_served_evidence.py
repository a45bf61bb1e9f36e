"""What the page of a server shows beside an answer: where the model looks, and similar training pictures."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from obverse.experiment import load_with_evidence, training_dataset
from obverse.explain import thumbnails_of
from obverse.serving import Service, TrainingPictures

playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
expect = playwright.expect
LOOK = "Where the model looks"


def encoded(gray, size=(48, 96), format="PNG", **options):
    data = io.BytesIO()
    noise = np.random.default_rng(gray).normal(gray, 12.0, (*size, 3))
    Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(data, format, **options)
    return data.getvalue()


def upload(name, data, kind="image/png"):
    return {"name": name, "mimeType": kind, "buffer": data}


@pytest.fixture(scope="module")
def evident(serve, one_view, trained):
    """A client of a server of two models that shows training pictures."""
    models, training = {}, {}
    for name, path in {"one": one_view, "coins": trained.path}.items():
        models[name] = load_with_evidence(path, 3)
        dataset = training_dataset(path, models[name].bundle)
        training[name] = TrainingPictures([each.id for each in dataset.samples], thumbnails_of(dataset, {}))
    with serve(Service(models, training=training), has_page=True) as client:
        client.service.warm_up()
        yield client


@pytest.fixture
def ask(open_in_browser, evident):
    """ask(pictures by view, width, **context) -> the page with the answer of the model that has these views."""

    def ask_(pictures, width=1200, **options):
        page = open_in_browser(str(evident.base_url) + "/", width, **options)
        expect(page.get_by_role("heading", level=1)).to_have_text("one")
        page.get_by_label("Model").select_option("one" if "Picture" in pictures else "coins")
        for view, data in pictures.items():
            page.get_by_label(f"{view}: choose a picture").set_input_files(upload("a.png", data))
        page.get_by_role("button", name="Ask", exact=True).click()
        expect(page.locator("#answer h3")).not_to_be_empty()
        return page

    return ask_


def errors_of(page):
    return [text for text in page.messages if not text.startswith(("http://127.0.0.1", "blob:", "data:"))]


def test_maps_cover_their_pictures_from_edge_to_edge(ask):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(200, (60, 120), "JPEG", exif=exif)
    page = ask({"obverse": encoded(60), "reverse": turned})
    page.get_by_role("button", name=LOOK).click()
    heading = page.get_by_role("heading", name=LOOK)
    expect(heading).to_be_focused()
    assert page.get_by_role("button", name=LOOK).count() == 0
    expect(page.locator(".frame")).to_have_count(2)
    page.wait_for_function("[...document.querySelectorAll('.frame')].every(frame => frame.style.width)")
    shapes = []
    for frame in page.locator(".frame").all():
        below, above = (frame.locator("img").nth(place).bounding_box() for place in range(2))
        assert above == pytest.approx(below, abs=0.5)
        assert frame.locator(".map").evaluate("map => getComputedStyle(map).backgroundColor") == "rgba(0, 0, 0, 0)"
        shapes.append(round(below["width"] / below["height"], 1))
    assert shapes == [2.0, 0.5]  # the second one is upright
    words = page.locator("#answer").inner_text()
    assert "Bright places speak for" in words
    for view in ("obverse", "reverse"):
        assert page.get_by_alt_text(f"Map of {view}: most of it in the ").count() == 1
        assert f"{view}: most of it in the " in words
    assert errors_of(page) == []


def test_by_keyboard_and_with_a_weaker_map(ask):
    page = ask({"Picture": encoded(60)})
    page.locator("#answer").focus()
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == LOOK:
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=LOOK)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Strength of the map")).to_be_focused()
    page.keyboard.press("Home")
    assert page.locator(".map").evaluate("map => getComputedStyle(map).opacity") == "0"
    assert page.locator("figcaption").inner_text().startswith("Most of it in the ")


def test_a_picture_that_the_browser_cannot_show_has_its_map_alone(ask):
    page = ask({"Picture": encoded(60, format="TIFF")})
    page.get_by_role("button", name=LOOK).click()
    expect(page.get_by_text("This browser cannot show the picture")).to_be_visible()
    assert page.locator(".map").evaluate("map => getComputedStyle(map).position") == "static"


def test_a_refusal_is_a_sentence_and_the_answer_stays(ask):
    page = ask({"Picture": encoded(60)})
    answer = page.locator("#answer h3").inner_text()
    body = json.dumps({"error": "this network has no quick map", "code": "bad-parameter"})
    page.route("**/predict", lambda route: route.fulfill(status=400, body=body, content_type="application/json"))
    page.get_by_role("button", name=LOOK).click()
    expect(page.locator("#answer [role=alert]")).to_have_text("This network has no quick map.")
    expect(page.get_by_role("button", name=LOOK)).to_be_enabled()
    assert page.locator("#answer h3").inner_text() == answer
    page.unroute("**/predict")
    page.get_by_role("button", name=LOOK).click()
    expect(page.locator(".map")).to_be_visible()


def test_similar_training_pictures_have_labels_and_are_loaded(ask, evident):
    page = ask({"obverse": encoded(60), "reverse": encoded(70)})
    expect(page.get_by_role("heading", name="Similar training pictures")).to_be_visible()
    items = page.locator(".similar li")
    expect(items).to_have_count(3)
    expect(page.locator(".similar img")).to_have_count(6)
    page.wait_for_function("[...document.querySelectorAll('.similar img')].every(image => image.naturalWidth)")
    files = {"obverse": encoded(60), "reverse": encoded(70)}
    (row,) = evident.post("/v1/models/coins/predict", files=files).json()["predictions"]
    wanted = [f"{each['label']}, similarity {each['cosine']:.2f}" for each in row["similar"]]
    assert [text.strip() for text in items.all_inner_texts()] == wanted
    label = row["similar"][0]["label"]
    assert items.first.get_by_alt_text(f"reverse of a training picture with the label {label}").count() == 1
    assert errors_of(page) == []


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "light"), (1440, "dark"), (390, "dark")])
def test_accessibility_and_width(ask, scheme, width, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    # The policy of the page lets no foreign script in, not even this examination's.
    options = {"color_scheme": scheme, "has_touch": width < 500, "bypass_csp": True}
    page = ask({"obverse": encoded(60), "reverse": encoded(200, (160, 80))}, width, **options)
    page.get_by_role("button", name=LOOK).click()
    expect(page.locator(".map")).to_have_count(2)
    page.wait_for_function("[...document.querySelectorAll('.frame')].every(frame => frame.style.width)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    results = axe.Axe().run(page)
    assert [(each["id"], each["nodes"][0]["target"]) for each in results.response["violations"]] == []
    page.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)
    assert (tmp_path / f"{width}-{scheme}.png").stat().st_size > 10_000
