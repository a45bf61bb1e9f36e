"""The page of a server in Chromium: one object, many pictures, errors, a token, by keyboard, dark and narrow."""

import csv
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from obverse.serving import Access

playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
expect = playwright.expect


def png(gray):
    data = io.BytesIO()
    noise = np.random.default_rng(gray).normal(gray, 12.0, (48, 64, 3))
    Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(data, "PNG")
    return data.getvalue()


def upload(name, data, kind="image/png"):
    return {"name": name, "mimeType": kind, "buffer": data}


@pytest.fixture
def open_page(open_in_browser, served):
    """open_page(width, model, **context) -> the page, with a model chosen."""

    def open_(width=1200, model="one", **options):
        page = open_in_browser(str(served.base_url) + "/", width, **options)
        expect(page.get_by_role("heading", level=1)).to_have_text("one")
        page.get_by_label("Model").select_option(model)
        return page

    return open_


def errors_of(page):
    return [text for text in page.messages if not text.startswith(("http://127.0.0.1", "blob:", "data:,"))]


def test_one_picture_gets_the_answer_of_the_server_in_words(open_page, served):
    page = open_page()
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_disabled()
    page.get_by_label("Picture: choose a picture").set_input_files(upload("a.png", png(60)))
    expect(page.get_by_alt_text("image: a.png")).to_be_visible()
    page.get_by_role("button", name="Ask", exact=True).click()
    (row,) = served.post("/v1/predict", files={"image": png(60)}).json()["predictions"]
    expect(page.locator("#answer h3")).to_have_text(row["label"])
    words = page.locator("#answer").inner_text()
    assert f"Confidence (not calibrated): {row['confidence']:.0%}".replace("%", " %") in words
    assert "In 90 of 100 cases the right answer is among all classes" in words
    assert f"A person should look at this. {row['reason']}." in words
    assert page.locator("#answer meter").count() == 3
    assert page.evaluate("document.activeElement.id") == "answer"
    page.get_by_role("button", name="Clear").click()
    assert page.locator("#answer").inner_text() == ""
    assert errors_of(page) == []


def test_every_view_has_its_box_and_a_missing_one_is_named(open_page):
    page = open_page(model="coins")
    assert page.locator(".box h3").all_inner_texts() == ["obverse", "reverse"]
    page.get_by_label("obverse: choose a picture").set_input_files(upload("a.png", png(60)))
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("#answer h3")).to_have_text("dark")
    page.get_by_label("reverse: choose a picture").set_input_files(upload("b.png", png(200)))
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_role("heading", name="Each view alone")).to_be_visible()
    expect(page.locator("#answer")).to_contain_text("The views disagree.")
    assert errors_of(page) == []


def test_many_pictures_are_a_table_and_a_csv(open_page):
    page = open_page()
    hostile = "=<img src=x onerror=alert(1)>.png"
    files = [upload(f"{n}.png", png(50 + 10 * n)) for n in range(10)]
    page.locator("#files").set_input_files([*files, upload("bad.png", b"no picture"), upload(hostile, png(90))])
    expect(page.get_by_role("status")).to_have_text("12 of 12 answered, 1 of them with an error.")
    rows = page.locator("#rows tr")
    assert rows.count() == 12
    assert [rows.nth(n).locator("th").inner_text() for n in (0, 10, 11)] == ["0.png", "bad.png", hostile]
    assert "not a picture in a known format" in rows.nth(10).inner_text()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    with open(download.value.path(), encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["object", "answer", "confidence", "set", "decision", "reason"]
    assert lines[12][0] == f"'{hostile}"  # text, where a spreadsheet would see a formula
    assert lines[1][1] == rows.nth(0).locator("td").first.inner_text()
    assert errors_of(page) == []


def test_many_pictures_of_several_views_are_paired_by_name(open_page):
    page = open_page(model="coins")
    names = ["c1_obverse.png", "c1_reverse.png", "Reverse-c2.png", "c2 obverse.png", "lost.png"]
    page.locator("#files").set_input_files([upload(name, png(60)) for name in names])
    expect(page.get_by_role("status")).to_have_text("3 of 3 answered, 1 of them with an error.")
    assert page.locator("#rows th").all_inner_texts() == ["lost.png", "c1", "c2"]


def test_an_error_is_a_sentence_that_a_screen_reader_says(open_page):
    page = open_page()
    page.get_by_label("Picture: choose a picture").set_input_files(upload("<b>x.png", b"no picture"))
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("There is no answer. Image: not a picture in a known format")
    assert [text for text in errors_of(page) if not text.startswith("Failed to load resource")] == []


def test_a_busy_server_is_asked_again(open_page):
    page = open_page()
    refusals = iter([503, 503])

    def busy(route):
        if next(refusals, None):
            body = json.dumps({"error": "too many requests are waiting", "code": "overloaded"})
            route.fulfill(status=503, body=body, headers={"retry-after": "0.05", "content-type": "application/json"})
        else:
            route.continue_()

    page.route("**/predict", busy)
    page.get_by_label("Picture: choose a picture").set_input_files(upload("a.png", png(60)))
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("#answer h3")).to_have_text("dark")
    assert next(refusals, None) is None


def test_by_keyboard_alone(open_page):
    page = open_page()
    page.get_by_label("Model").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Picture: choose a picture")).to_be_focused()
    assert page.evaluate("getComputedStyle(document.querySelector('.drop')).outlineStyle") == "solid"
    page.get_by_label("Picture: choose a picture").set_input_files(upload("a.png", png(60)))
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "send":
            break
    page.keyboard.press("Enter")
    expect(page.locator("#answer h3")).to_have_text("dark")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_accessibility_and_width(open_page, scheme, width, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    # The policy of the page lets no foreign script in, not even this examination's.
    page = open_page(width, "coins", color_scheme=scheme, has_touch=width < 500, bypass_csp=True)
    for view in ("obverse", "reverse"):
        page.get_by_label(f"{view}: choose a picture").set_input_files(upload("a.png", png(60)))
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("#answer h3")).to_have_text("dark")
    page.locator("#files").set_input_files([upload(f"{'long' * 20}_obverse.png", png(60))])
    expect(page.get_by_role("status")).to_have_text("1 of 1 answered.")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    results = axe.Axe().run(page)
    assert [(each["id"], each["nodes"][0]["target"]) for each in results.response["violations"]] == []
    page.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)
    assert (tmp_path / f"{width}-{scheme}.png").stat().st_size > 10_000


def test_a_token_is_asked_for(run_server, one_view, open_in_browser):
    with run_server({"one": one_view}, access=Access("a-long-enough-secret"), has_page=True) as client:
        page = open_in_browser(str(client.base_url) + "/", 800)
        field = page.get_by_label("This server asks for a token")
        field.fill("wrong")
        page.get_by_role("button", name="Use it").click()
        expect(page.locator("#about")).to_contain_text("token")
        field.fill("a-long-enough-secret")
        page.get_by_role("button", name="Use it").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("one")
        assert not field.is_visible()


def test_the_page_loads_nothing_from_elsewhere(open_page, served):
    page = open_page()
    requests = [text for text in page.messages if text.startswith("http")]
    assert requests
    assert all(text.startswith(str(served.base_url)[:60]) for text in requests)
    policy = served.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert not re.search(r"unsafe|https?:", policy)
