"""A bundle that was changed in any way is refused in one sentence, or gives the very same answer; never another one."""

import copy
import json
import logging
import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from obverse.bundle import Bundle, find_bundle, read_bundle, write_bundle
from obverse.bundle.schema import DIGEST, digest_of
from obverse.data import Geometry
from obverse.errors import DataError, UnavailableError
from obverse.imaging import Part
from obverse.inference import Predictor
from obverse.manifest import Column
from obverse.recipe import ConvNetBackbone, GatedFusion, HeadSpec, ModelSpec, OutputSpec, TimmBackbone, ViewHeadsSpec

PLAIN = Bundle(
    classes=("a", "b", "c"),
    ordered=False,
    views=("image",),
    geometry=Geometry(16, 16, 16, 16),
    mean=(0.5, 0.4, 0.3),
    std=(0.2, 0.3, 0.4),
    model=ModelSpec(
        backbone=TimmBackbone(
            name="vit_tiny_patch16_224",
            pretrained="none",
            options={"depth": 1, "embed_dim": 12, "num_heads": 2, "patch_size": 8},
        ),
        fusion={"kind": "concat"},
    ),
    output=OutputSpec(prior=(0.5, 0.3, 0.2)),
    trained={"epoch": 3},
)
# Every kind of field that a description has.
RICH = replace(
    PLAIN,
    ordered=True,
    views=("left", "right"),
    model=ModelSpec(
        backbone=ConvNetBackbone(widths=(4, 4)),
        fusion=GatedFusion(width=4),
        head=HeadSpec(hidden=(5,)),
        view_heads=ViewHeadsSpec(),
    ),
    output=OutputSpec(decode="median"),
    columns=(Column("mint", "category", ("D", "S")), Column("year", "number", mean=1900.0, std=20.0)),
    parts=(Part.parse("half", "left"), Part.parse("half", "right")),
)
SETS = replace(PLAIN, output=OutputSpec(kind="binary", thresholds=(0.2, 0.5, 0.7)))
AVERAGED = replace(
    RICH,
    model=RICH.model.changed({"fusion": {"kind": "average"}, "view_heads": None}),
    output=OutputSpec(kind="corn", per_view=True),
)
BUNDLES = {"plain": PLAIN, "rich": RICH, "sets": SETS, "averaged": AVERAGED}
PICTURE = np.random.default_rng(0).integers(0, 256, (20, 32, 3), np.uint8)
WRONG = [None, True, -1, 0, 10**9, 10**400, -0.5, 1e300, float("nan"), float("inf"), "", "x", "1", [], {}, [[]], [None]]


@pytest.fixture(params=BUNDLES)
def folder(request, tmp_path):
    torch.manual_seed(0)
    bundle = BUNDLES[request.param]
    write_bundle(tmp_path / "bundle", bundle, bundle.build().state_dict())
    return tmp_path / "bundle"


def answer(folder):
    """What it says of one picture, or DataError."""
    bundle, model = read_bundle(folder)
    return Predictor(bundle, model, device="cpu").predict(PICTURE)


def places(value, path=()):
    """The path of every value in a description."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def at(values, path):
    for key in path[:-1]:
        values = values[key]
    return values, path[-1]


def mutations(values):
    """(name, changed description): every place without its value, with wrong ones, and with what is merely another."""
    for path in places(values):
        name = ".".join(map(str, path))
        for number, wrong in enumerate(["delete", "swap", "more", *WRONG]):
            changed = copy.deepcopy(values)
            inside, key = at(changed, path)
            old = inside[key]
            if wrong == "delete":
                del inside[key]
            elif wrong == "swap":
                if not isinstance(old, list) or old == old[::-1]:
                    continue
                inside[key] = old[::-1]
            elif wrong == "more":
                if isinstance(old, bool) or not isinstance(old, int | float):
                    continue
                inside[key] = old + 1
            else:
                inside[key] = wrong
            if json.dumps(changed) != json.dumps(values):
                yield f"{name}: {number} {wrong!r:.10}", changed


def try_all(folder, pairs, before):
    """How many are refused, and the names of those that are not and say something else."""
    file, sentences, unavailable, others = folder / "model.json", {}, [], []
    for name, values in pairs:
        file.write_text(json.dumps(values), encoding="utf-8")
        try:
            if answer(folder) != before:
                others.append(name)
        except DataError as error:
            sentences[name] = error
        except UnavailableError:
            unavailable.append(name)
    assert all(error.exit_code == 65 for error in sentences.values())
    assert [name for name, error in sentences.items() if "\n" in str(error) or len(str(error)) > 1200] == []
    assert [name for name in unavailable if "kind" not in name] == []
    return len(sentences), others


@pytest.fixture
def written(folder):
    return json.loads((folder / "model.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.full)])
def test_whatever_is_changed_is_noticed(folder, written, caplog, step):
    before = answer(folder)
    pairs = list(mutations(written))[::step]
    assert len(pairs) > 800 / step
    with caplog.at_level(logging.ERROR):
        num_refused, others = try_all(folder, pairs, before)
    assert others == []
    assert num_refused == len(pairs)


@pytest.mark.parametrize(
    ("folder", "step"),
    [("plain", 9), *(pytest.param(name, 1, marks=pytest.mark.full) for name in BUNDLES)],
    indirect=["folder"],
)
def test_with_a_digest_that_was_made_anew_nothing_but_sentences_comes_out(folder, written, step):
    """Somebody means it: whatever can be built answers as it is described, and nothing ends in a traceback."""
    before, pairs = answer(folder), list(mutations(written))[::step]
    anew = [(name, values | {DIGEST: digest_of(json.loads(json.dumps(values)))}) for name, values in pairs]
    num_refused, _ = try_all(folder, anew, before)
    assert num_refused > 0.7 * len(pairs)


def sealed(folder, change):
    """Change the description and make its digest anew."""
    file = folder / "model.json"
    values = json.loads(file.read_text(encoding="utf-8"))
    change(values)
    values[DIGEST] = digest_of(values)
    file.write_text(json.dumps(values), encoding="utf-8")
    return folder


def set_in(*path, to):
    def change(values):
        inside, key = at(values, path)
        inside[key] = to

    return change


VIT = ("model", "backbone", "options")
MEANT = {
    "classes that are one too few": (set_in("classes", to=["a", "b"]), "prior has 3 numbers for 2 classes"),
    "a class twice": (set_in("classes", to=["a", "b", "a"]), "a name is there twice"),
    "no class": (set_in("classes", to=[]), "at least 1 item"),
    "a negative size": (set_in("geometry", "height", to=-16), "`geometry.height`: .* greater than or equal to 1"),
    "a size of 100 GB": (set_in("geometry", "canvas_height", to=10**8), "`geometry.canvas_height`"),
    "a model of 100 GB": (set_in(*VIT, "embed_dim", to=60_000), r"`\S+` is \[.*\] and not \["),
    "a model of a billion layers": (set_in(*VIT, "depth", to=10**9), "at most 1,000 can be built"),
    "a NaN in the mean": (set_in("mean", to=[float("nan"), 0, 0]), "`mean.0`: Input should be a finite number"),
    "a std of zero": (set_in("std", to=[0, 1, 1]), "`std.0`: Input should be greater than"),
    "a std that is text": (set_in("std", to=["1", "1", "1"]), "`std.0`: Input should be a valid number"),
    "weights from another place": (set_in(*VIT, "checkpoint_path", to="x.pth"), "`checkpoint_path` is no option"),
    "a configuration of weights": (set_in(*VIT, "pretrained_cfg", to="x"), "`pretrained_cfg` is no option"),
    "a hub": (set_in("model", "backbone", "name", to="hf_hub:a/b"), "cannot be built: .* timm has no model"),
    "a path": (set_in("model", "backbone", "name", to="local-dir:/tmp"), "cannot be built: .* timm has no model"),
    "nothing decided": (set_in("model", "backbone", to={"kind": "auto"}), "backbone is still `auto`"),
    "a prior of zero": (set_in("output", "prior", to=[0, 1, 1]), "greater than 0"),
    "a key of its own": (set_in("answer", to="always"), "`answer`: Extra inputs are not permitted"),
    "another model": (
        set_in(*VIT, "embed_dim", to=14),
        r"`backbones.0.cls_token` is \[1, 1, 12\] and not \[1, 1, 14\]",
    ),
}


@pytest.mark.parametrize("folder", ["plain"], indirect=True)
@pytest.mark.parametrize("case", MEANT)
def test_what_is_meant_is_refused_by_name(folder, case):
    change, sentence = MEANT[case]
    with pytest.raises(DataError, match=sentence):
        read_bundle(sealed(folder, change))


@pytest.mark.parametrize("folder", ["plain"], indirect=True)
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[" * 200_000, "cannot be read as JSON: maximum recursion depth"),
        ('{"format":' * 100 + "1" + "}" * 100, "nested deeper than 64"),
        ('{"format": "obverse-bundle", "format": "x"}', "a key is there twice"),
        ("1" * 5000, "cannot be read as JSON"),
        ("", "cannot be read as JSON"),
    ],
)
def test_json_that_is_a_trap_is_a_sentence(folder, text, sentence):
    (folder / "model.json").write_text(text)
    with pytest.raises(DataError, match=sentence):
        read_bundle(folder)


@pytest.mark.parametrize("folder", ["plain"], indirect=True)
@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_what_is_no_file_is_not_waited_for(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(DataError):
        read_bundle(folder)


@pytest.mark.parametrize("folder", ["plain"], indirect=True)
@pytest.mark.parametrize(("name", "size"), [("model.json", 2**31), ("model.safetensors", 2**35)])
def test_a_file_that_is_too_large_is_not_read(folder, name, size):
    with (folder / name).open("r+b") as file:
        file.truncate(size)  # takes no room on the disk
    with pytest.raises(DataError, match="more than the limit"):
        read_bundle(folder)


@pytest.mark.parametrize("folder", ["plain"], indirect=True)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(folder, value):
    bundle, model = read_bundle(folder)
    with torch.no_grad():
        model.head[-1].bias[1] = value
    write_bundle(folder, bundle, model.state_dict())
    with pytest.raises(DataError, match=r"`head\.0\.bias` holds what is no finite number"):
        read_bundle(folder)


@pytest.mark.parametrize("folder", ["plain"], indirect=True)
def test_an_answer_that_is_no_number_names_the_picture(folder):
    bundle, model = read_bundle(folder)
    with torch.no_grad():
        model.head[-1].weight.fill_(3e38)
    predictor = Predictor(bundle, model, device="cpu")
    with pytest.raises(DataError, match=r"the model's answer to .* is no finite number"):
        predictor.predict(PICTURE)


@pytest.mark.parametrize("folder", ["plain"], indirect=True)
def test_one_without_a_digest_is_read_and_says_so(folder, written, caplog):
    before = answer(folder)
    del written[DIGEST]
    (folder / "model.json").write_text(json.dumps(written | {"format_version": 1}))
    assert answer(folder) == before
    assert "has no digest: whether it was changed since cannot be told" in caplog.text
    assert find_bundle(folder) == folder


def test_the_digest_is_of_the_weights_too(folder, written):
    values = written | {"weights_sha256": "0" * 64}
    assert digest_of(values) != written[DIGEST] == digest_of(written)
