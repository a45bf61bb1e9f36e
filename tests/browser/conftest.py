"""Pages in Chromium, with all that they log, ask for and say."""

import shutil
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    # In a container the tests run as root, for whom Chromium starts only without its sandbox; the pages are ours.
    with playwright.sync_playwright() as driver, driver.chromium.launch(
        executable_path=CHROMIUM, args=["--no-sandbox"]
    ) as running:  # fmt: skip
        yield running


@pytest.fixture
def open_in_browser(browser):
    """open_in_browser(path or address, width, **context) -> the page, closed after the test.

    `page.messages` has what it logs, its errors, the start of the address of each request, and its dialogs.
    """
    contexts = []

    def open_(path, width, height=900, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.messages = []
        page.on("console", lambda message: page.messages.append(message.text))
        page.on("pageerror", lambda error: page.messages.append(str(error)))
        page.on("request", lambda request: page.messages.append(request.url[:60]))
        page.on("dialog", lambda dialog: (page.messages.append(dialog.message), dialog.dismiss()))
        page.goto(path.as_uri() if isinstance(path, Path) else path)
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture
def serious_findings():
    """serious_findings(page) -> serious and critical findings of axe-core, with the start of the first element."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")

    def find(page):
        violations = axe.Axe().run(page).response["violations"]
        return [
            (each["id"], each["nodes"][0]["html"][:90])
            for each in violations
            if each["impact"] in ("serious", "critical")
        ]

    return find
