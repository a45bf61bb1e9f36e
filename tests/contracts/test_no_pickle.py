"""No pickle is read that could run code: every use of a reader that could is known, and says how it is bound."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "obverse"
# Modules whose readers run code from a file.
MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle"}
KNOWN = {
    "manifest/store/cifar.py": "CIFAR's format is a pickle: a reader that builds arrays and plain values alone",
    "imaging/sandbox.py": "between this process and children that it started",
}
# Calls that read pickles unless an argument forbids it: name -> (argument, value).
BOUND = {
    ("torch", "load"): ("weights_only", True),
    ("format", "read_array"): ("allow_pickle", False),
    ("format", "write_array"): ("allow_pickle", False),
}
NEVER = {("np", "load"), ("numpy", "load"), ("torch.jit", "load"), ("jit", "load"), ("yaml", "unsafe_load"),
         ("yaml", "full_load"), ("pd", "read_pickle"), ("pandas", "read_pickle"), ("hub", "load")}  # fmt: skip
NEVER_CALLED = {"eval", "exec", "compile", "__import__"}


def faults_of(text, place):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from (f"imports {name}" for name in names if name.partition(".")[0] in MODULES and place not in KNOWN)
        elif isinstance(node, ast.Call):
            yield from faults_of_call(node)
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle" and not is_value(node.value, False):
            yield "allow_pickle is not False"


def faults_of_call(call):
    function = call.func
    if isinstance(function, ast.Name) and function.id in NEVER_CALLED:
        yield f"calls {function.id}"
    if not isinstance(function, ast.Attribute):
        return
    owner = ast.unparse(function.value).rpartition(".")[2]
    name = (owner, function.attr)
    if name in NEVER:
        yield f"calls {owner}.{function.attr}"
    if name in BOUND:
        argument, value = BOUND[name]
        if not any(keyword.arg == argument and is_value(keyword.value, value) for keyword in call.keywords):
            yield f"calls {owner}.{function.attr} without {argument}={value}"
    if name == ("yaml", "load") and not any(keyword.arg == "Loader" for keyword in call.keywords):
        yield "calls yaml.load without Loader"


def is_value(node, value):
    return isinstance(node, ast.Constant) and node.value is value


def test_no_pickle_is_read():
    faults, num_bound = [], 0
    for path in sorted(PACKAGE.rglob("*.py")):
        place, text = path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8")
        faults += [f"{place}: {fault}" for fault in faults_of(text, place)]
        num_bound += text.count("weights_only=True)\n") + text.count("allow_pickle=False")
    assert faults == []
    assert num_bound >= 5  # the walk sees the calls that there are
    assert all((PACKAGE / place).exists() for place in KNOWN)


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "import torch; torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=flag)",
        "np.load(path)",
        "np.lib.format.read_array(file)",
        "read(file, allow_pickle=True)",
        "yaml.load(text)",
        "torch.jit.load(path)",
        "eval(text)",
    ],
)
def test_a_planted_reader_is_seen(line):
    assert list(faults_of(line, "planted.py"))


def test_yaml_builds_plain_values_only():
    from obverse.errors import RecipeError
    from obverse.recipe import parse_yaml

    with pytest.raises(RecipeError):
        parse_yaml("!!python/object/apply:os.system ['true']", "planted.yaml")
