"""Names in plain words: an identifier says what the thing is, in the field's standard term."""

import ast
import re
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "obverse"
# Verbs that name no thing, with what was meant: summary, message, examples, matches, config, shard, barrier.
DIALECT = {
    *("told", "tell", "tells", "said", "say", "says", "shown", "found", "taught"),
    *("deal", "deals", "dealt", "meet", "meets", "heard", "hear", "hears"),
}
# `tell` of a file object is Python's own name.
STANDARD = {("manifest/store/blob.py", "tell")}


def _words(name):
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def _names(tree):
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.alias(asname=str(name)):
                yield node.lineno, name


def _dialect(path):
    place = path.relative_to(SOURCE).as_posix()
    return [
        f"{place}:{line} {name}"
        for line, name in _names(ast.parse(path.read_text(encoding="utf-8")))
        if _words(name) & DIALECT and (place, name) not in STANDARD
    ]


def test_identifiers_name_the_thing():
    assert [use for path in sorted(SOURCE.rglob("*.py")) for use in _dialect(path)] == []


def test_words_of_a_name():
    assert _words("num_shown") == {"num", "shown"}
    assert _words("TOLD_DEVIATION") == {"told", "deviation"}
    assert _words("wasFound") == {"was", "found"}
    assert _words("foundation") == {"foundation"}
