"""The pages hang together: links lead to files, the navigation names every page (decisions: the architecture page)."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted(DOCS.rglob("*.md")),
    *sorted(ROOT.glob("examples/**/*.md")),
]


def links_of(text):
    """Targets of Markdown links, without anchors and without those to other hosts."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", prose)
    return [target.partition("#")[0] for target in targets if "://" not in target and not target.startswith("#")]


def pages_in(entries):
    for entry in entries:
        for target in entry.values() if isinstance(entry, dict) else [entry]:
            yield from pages_in(target) if isinstance(target, list) else [target]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    targets = links_of(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_links_are_found():
    assert links_of("[a](b.md#c) `x` [d](https://e.f) [g](../h.py)\n```text\n[i](j)\n```\n[k](#l)") == [
        "b.md",
        "../h.py",
    ]
    assert len(links_of((DOCS / "index.md").read_text(encoding="utf-8"))) > 20


def test_the_navigation_names_every_page_once():
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    pages = sorted(pages_in(site["nav"]))
    written = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md") if page.parent.name != "adr"]
    assert pages == sorted(written), "add the page to `nav` in mkdocs.yml"
