"""The first hour runs as it is written, on a smaller set of pictures."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
# Smaller and fewer pictures than a reader has; everything else is as the page has it.
SMALLER = ("--samples", "100", "--size", "32")


def blocks():
    return re.findall(r"^```(bash|python)\n(.*?)^```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.full
def test_every_line_runs_in_order(obverse, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    verbs = []
    for language, block in blocks():
        if language == "python":
            exec(block, {})
            assert re.fullmatch(r"\w+ 0\.\d+", capsys.readouterr().out.strip())
            continue
        for line in block.splitlines():
            program, *words = shlex.split(line)
            if program == "cp":
                shutil.copytree(words[1], words[2])
                continue
            assert program == "obverse", line
            result = obverse(*words, *(SMALLER if words[0] == "sample" else ()))
            assert result.code == 0, f"{line}\n{result.err}"
            verbs.append(words[0])
    assert list(dict.fromkeys(verbs)) == ["sample", "check", "train", "predict", "compare", "export"]
    for path in (
        "checked/check.html",
        "runs/first/evaluation/test/report.html",
        "shapes-model/model.json",
        "shapes.pth",
    ):
        assert (tmp_path / path).is_file(), path
