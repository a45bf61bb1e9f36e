"""Members joined into one classifier: the mean of their probabilities, whatever each of them is."""

from dataclasses import replace

import pytest
import torch

from obverse.bundle import Bundle, read_bundle, write_bundle
from obverse.data import Batch, Geometry
from obverse.decisions import softmax
from obverse.engines import TorchEngine, run_engine
from obverse.manifest import Column
from obverse.recipe import OutputSpec, build_recipe

CLASSES, VIEWS = ("a", "b", "c", "d"), ("obverse", "reverse")
MODELS = {
    "shared": {"backbone": {"kind": "convnet", "widths": [4, 8]}},
    "separate": {"backbone": {"kind": "convnet", "widths": [4, 6]}, "sharing": "separate", "head": {"hidden": [5]}},
    "mean": {
        "backbone": {"kind": "timm", "name": "mobilenetv3_small_050", "pretrained": "none"},
        "fusion": {"kind": "mean"},
    },
    "average": {
        "backbone": {"kind": "convnet", "widths": [4, 6]},
        "sharing": "separate",
        "fusion": {"kind": "average"},
    },
}


def bundle_of(name, *, output=None, mean=0.5, std=0.5):
    model = build_recipe({"model": MODELS[name]}, name).model
    means, stds = (mean,) * 3, (std,) * 3
    return Bundle(CLASSES, False, VIEWS, Geometry(16, 16, 16, 16), means, stds, model, output or OutputSpec())


def batch_of(num=6, *, columns=False):
    generator = torch.Generator().manual_seed(0)
    present_BV = torch.ones(num, 2, dtype=torch.bool)
    present_BV[1, 0] = present_BV[2, 1] = False
    return Batch(
        images_BVCHW=torch.randint(0, 256, (num, 2, 3, 16, 16), generator=generator).to(torch.uint8),
        present_BV=present_BV,
        labels_B=torch.arange(num) % 4,
        valid_B=torch.ones(num, dtype=torch.bool),
        ids=tuple(map(str, range(num))),
        columns_BE=torch.tensor([[k % 3, 0.5 * k] for k in range(num)]) if columns else None,
    )


def outputs_of(bundle, model):
    engine = TorchEngine.from_bundle(bundle, model, device=torch.device("cpu"))
    return run_engine(engine, [batch_of(columns=bool(bundle.columns))], each_view=True)


@pytest.fixture(params=["pictures alone", "with columns"])
def members(request):
    """Four kinds of model, another normalisation each, one of them with CORN's numbers, one meant for a prior."""
    torch.manual_seed(0)
    bundles = [
        bundle_of("shared", output=OutputSpec(kind="corn")),
        bundle_of("separate", mean=0.4, std=0.25),
        bundle_of("mean", output=OutputSpec(prior=(0.7, 0.1, 0.1, 0.1)), mean=0.3),
        bundle_of("average", output=OutputSpec(kind="coral", per_view=True), std=0.2),
    ]
    if request.param == "with columns":
        columns = (Column("mint", "category", ("A", "D")), Column("year", "number", mean=1900.0, std=20.0))
        bundles = [replace(bundle, columns=columns) for bundle in bundles]
    return [(bundle, bundle.build()) for bundle in bundles]


def joined_of(members):
    first = members[0][0]
    whole = replace(first, members=tuple(bundle.as_member() for bundle, _ in members), output=OutputSpec())
    model = whole.build()
    parts = {"backbones.0.members": "backbones", "fusion.members": "fusion", "head.members": "head"}
    parts["columns.members"] = "columns"
    state = {}
    for number, (_, member) in enumerate(members):
        for name, tensor in member.state_dict().items():
            joined, part = next((j, p) for j, p in parts.items() if name.startswith(f"{p}."))
            state[f"{joined}.{number}{name.removeprefix(part)}"] = tensor
    model.load_state_dict(state)
    return whole, model


def test_the_whole_says_the_mean_of_the_members(members):
    alone = [outputs_of(bundle, model) for bundle, model in members]
    whole = outputs_of(*joined_of(members))
    wanted = sum(softmax(found.logits_NK) for found in alone) / len(alone)
    torch.testing.assert_close(softmax(whole.logits_NK), wanted, rtol=0, atol=2e-6)
    for view in range(2):
        wanted = sum(softmax(found.alone_VNK[view]) for found in alone) / len(alone)
        torch.testing.assert_close(softmax(whole.alone_VNK[view]), wanted, rtol=0, atol=2e-6, equal_nan=True)
    assert whole.embeddings_ND.shape[1] == sum(found.embeddings_ND.shape[1] for found in alone)


def test_it_is_written_and_read_like_any_bundle(members, tmp_path):
    whole, model = joined_of(members)
    write_bundle(tmp_path / "bundle", whole, model.state_dict())
    again, loaded = read_bundle(tmp_path)
    assert again == whole
    before, after = outputs_of(whole, model), outputs_of(again, loaded)
    torch.testing.assert_close(after.logits_NK, before.logits_NK, rtol=0, atol=0)
