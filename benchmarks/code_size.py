"""Median and longest function, longest file: `python benchmarks/code_size.py`."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

from common import save

SOURCE = Path(__file__).parent.parent / "src"


def main() -> None:
    functions, files = [], []
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        files.append((text.count("\n"), str(path.relative_to(SOURCE))))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                functions.append(((node.end_lineno or node.lineno) - node.lineno + 1, f"{path.name}:{node.name}"))
    row = {
        "num_files": len(files),
        "num_lines": sum(lines for lines, _ in files),
        "num_functions": len(functions),
        "median_function": statistics.median(lines for lines, _ in functions),
        "longest_function": max(functions),
        "longest_file": max(files),
    }
    save("code_size", [row], command="python benchmarks/code_size.py")


if __name__ == "__main__":
    main()
