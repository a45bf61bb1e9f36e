"""An example's folder as a user has it: copied, its constants edited, its scripts run where they lie."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shutil
import sys
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "examples"


@dataclass
class Example:
    """A copy in `path`, which is the current folder."""

    path: Path
    modules: set[str] = field(default_factory=lambda: set(sys.modules))

    def edit(self, script: str, **constants) -> None:
        """Change constants at the top of a script, as an editor would; each must be there."""
        file = self.path / script
        text = file.read_text(encoding="utf-8")
        for name, value in constants.items():
            text, found = re.subn(rf"(?m)^{name}(:[^=\n]*)? = [^#\n]*?( *#.*)?$", f"{name} = {value!r}", text)
            assert found == 1, f"{script} has no constant {name}"
        file.write_text(text, encoding="utf-8")

    def run(self, script: str, *arguments: str) -> tuple[int, str, str]:
        """`python script arguments`: exit code, stdout, stderr."""
        out, err, before = io.StringIO(), io.StringIO(), sys.argv
        sys.argv, code = [script, *arguments], 0
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                runpy.run_path(str(self.path / script), run_name="__main__")
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        finally:
            sys.argv = before
        return code, out.getvalue(), err.getvalue()

    def snippet(self, words: str) -> str:
        """What the README's Python block that holds `words` prints."""
        blocks = re.findall(
            r"^```python\n(.*?)^```", (self.path / "README.md").read_text(encoding="utf-8"), re.S | re.M
        )
        (block,) = [block for block in blocks if words in block]
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(block, "README.md", "exec"), {"__name__": "snippet"})
        return out.getvalue()


@pytest.fixture
def example(tmp_path, monkeypatch):
    """example("coins_two_view") copies it and goes there, or to a folder inside; its imports are forgotten."""
    made = []
    # Tests run side by side: a training that takes all processors waits for the others at every step.
    monkeypatch.setattr(import_module("obverse.experiment.auto.machine"), "num_usable_cpus", lambda: 1)

    def copy(name: str, inside: str = "") -> Example:
        made.append(Example(Path(shutil.copytree(ROOT / name, tmp_path / name)) / inside))
        monkeypatch.chdir(made[-1].path)
        monkeypatch.syspath_prepend(str(made[-1].path))
        return made[-1]

    yield copy
    for module in [name for each in made for name in set(sys.modules) - each.modules]:
        if (getattr(sys.modules[module], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[module]
