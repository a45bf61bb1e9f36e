"""The examples of the page on the Python API, run as they stand."""

import re
from pathlib import Path

import obverse

PAGE = Path(__file__).parents[2] / "docs/reference/python.md"


def test_the_examples_run(draw_classes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    draw_classes(tmp_path / "pictures", per_class=12)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    names = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert isinstance(names["second"], obverse.Run)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "0"
    assert printed[-1].endswith(" 65")


def test_every_public_name_is_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    missing = [name for name in obverse.__all__ if not re.search(rf"\b{name}\b", text)]
    assert missing == []
