"""Engines: a batch in, outputs out; what wraps one averages; threads share one."""

import ast
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import obverse
from obverse.bundle import Bundle
from obverse.data import Batch, Geometry
from obverse.engines import Engine, MirrorEngine, Needs, Outputs, TorchEngine, evaluating, run_engine
from obverse.errors import DataError
from obverse.inference import Predictor
from obverse.recipe import OutputSpec, build_recipe

CLASSES, VIEWS, CPU = ("a", "b", "c"), ("obverse", "reverse"), torch.device("cpu")


def bundle_of(views=VIEWS, *, output=None, **model):
    model = {"backbone": {"kind": "convnet", "widths": [4, 8], "mirrored": False}, **model}
    spec = build_recipe({"model": model}, "test").model
    geometry = Geometry(12, 16, 12, 16)
    return Bundle(CLASSES, False, views, geometry, (0.4,) * 3, (0.3,) * 3, spec, output or OutputSpec())


def engine_of(bundle, **formats):
    torch.manual_seed(0)
    model = bundle.build().train()
    with torch.no_grad():  # statistics that are not those of a fresh network
        model(torch.randn(8, len(bundle.views), 3, 12, 16), torch.ones(8, len(bundle.views), dtype=torch.bool))
    return TorchEngine.from_bundle(bundle, model, device=CPU, **formats)


def batch_of(num=5, views=2, *, seed=0, valid=None):
    generator = torch.Generator().manual_seed(seed)
    present_BV = torch.ones(num, views, dtype=torch.bool)
    if views > 1:
        present_BV[1, 0] = present_BV[2, 1] = False
    return Batch(
        torch.randint(0, 256, (num, views, 3, 12, 16), dtype=torch.uint8, generator=generator),
        present_BV,
        torch.arange(num) % 3,
        torch.ones(num, dtype=torch.bool) if valid is None else torch.tensor(valid),
        tuple(f"{seed}/{n}" for n in range(num)),
    )


def arrays(outputs):
    return (outputs.logits_NK, outputs.embeddings_ND, *outputs.alone_VNK, *outputs.grades_VNK)


def require_equal(found, wanted):
    assert found.ids == wanted.ids
    for one, other in zip((found.truth, *arrays(found)), (wanted.truth, *arrays(wanted)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("wrap", [lambda engine: engine, MirrorEngine], ids=["torch", "mirror"])
@pytest.mark.parametrize("views", [("image",), VIEWS])
def test_every_engine_keeps_the_protocol(wrap, views):
    engine: Engine = wrap(engine_of(bundle_of(views, view_heads={} if len(views) > 1 else None)))
    assert engine.needs == Needs(len(views), 12, 16)
    batch = batch_of(views=len(views))
    full = engine.outputs(batch, each_view=True)
    assert (full.ids, full.truth.tolist()) == (batch.ids, batch.labels_B.tolist())
    assert all(rows.dtype == np.float32 and len(rows) == 5 for rows in arrays(full))
    assert full.logits_NK.shape == (5, 3)
    assert len(full.alone_VNK) == len(full.grades_VNK) == (2 if len(views) > 1 else 0)
    for of_views in (full.alone_VNK, full.grades_VNK):
        for view, rows in enumerate(of_views):
            np.testing.assert_array_equal(np.isnan(rows).any(1), ~batch.present_BV[:, view].numpy())
    lean = engine.outputs(batch, embeddings=False)
    assert (lean.alone_VNK, lean.grades_VNK, lean.embeddings_ND.shape) == ((), (), (5, 0))
    np.testing.assert_array_equal(lean.logits_NK, full.logits_NK)
    engine.close()


def test_outputs_are_those_of_the_normalised_pictures():
    engine, batch = engine_of(bundle_of(output=OutputSpec(prior=(0.5, 0.3, 0.2)))), batch_of()
    images_BVCHW = (batch.images_BVCHW / 255 - 0.4) / 0.3
    with torch.no_grad():
        embeddings_BD = engine.model.embed(images_BVCHW, batch.present_BV)
        logits_BK = engine.model.head(embeddings_BD) + torch.tensor([0.5, 0.3, 0.2]).log()
    found = engine.outputs(batch)
    np.testing.assert_allclose(found.logits_NK, logits_BK.numpy(), atol=1e-5)
    np.testing.assert_allclose(found.embeddings_ND, embeddings_BD.numpy(), atol=1e-5)


def test_the_mirror_engine_is_the_mean_of_both():
    engine, batch = engine_of(bundle_of(view_heads={})), batch_of()
    mirror = replace(batch, images_BVCHW=torch.from_numpy(batch.images_BVCHW.numpy()[..., ::-1].copy()))
    one, other = (engine.outputs(either, each_view=True) for either in (batch, mirror))
    found = MirrorEngine(engine).outputs(batch, each_view=True)
    assert len(arrays(found)) == 6
    for mean, plain, flipped in zip(arrays(found), arrays(one), arrays(other), strict=True):
        assert np.nanmax(np.abs(plain - flipped)) > 0
        np.testing.assert_array_equal(mean, (plain + flipped) / 2)
    require_equal(MirrorEngine(engine).outputs(mirror, each_view=True), found)


def test_a_predictor_takes_any_engine():
    bundle = bundle_of(("image",))
    engine, pixels = engine_of(bundle), batch_of(1, views=1).images_BVCHW[0, 0].permute(1, 2, 0).numpy()
    (plain,), (mirrored,) = (Predictor(bundle, any_of).predict(pixels) for any_of in (engine, MirrorEngine(engine)))
    (of_mirror,) = Predictor(bundle, MirrorEngine(engine)).predict(pixels[:, ::-1].copy())
    assert mirrored.probability == of_mirror.probability != plain.probability


def test_rows_of_several_batches_without_padding():
    engine = engine_of(bundle_of())
    batches = [batch_of(seed=0, valid=[True, False, True, True, False]), batch_of(3, seed=1)]
    found = run_engine(engine, batches, each_view=True)
    assert found.ids == ("0/0", "0/2", "0/3", "1/0", "1/1", "1/2")
    whole = [engine.outputs(batch, each_view=True) for batch in batches]
    require_equal(found, Outputs.joined([whole[0].rows([0, 2, 3]), whole[1]]))


def test_rows_are_in_memory_only_once():
    nothing = np.zeros((1000, 0), np.float32)

    def parts():
        for number in range(30):
            logits_NK = np.full((1000, 200), number, np.float32)
            yield Outputs((f"{number}",) * 1000, np.full(1000, number), logits_NK, nothing, (logits_NK + 1,))

    tracemalloc.start()
    found = Outputs.joined(parts())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = found.logits_NK.nbytes + found.alone_VNK[0].nbytes
    assert size < peak < 1.3 * size
    np.testing.assert_array_equal(found.logits_NK[:, 7], np.repeat(np.arange(30), 1000))
    np.testing.assert_array_equal(found.alone_VNK[0], found.logits_NK + 1)
    assert found.ids[29_000] == "29"
    assert found.embeddings_ND.shape == (30_000, 0)


def test_label_sets_are_the_truth_of_multi_label_data():
    engine, sets_BK = engine_of(bundle_of(output=OutputSpec(kind="binary"))), torch.arange(15).view(5, 3) % 2 == 0
    batch = replace(batch_of(valid=[True, True, False, True, True]), label_sets_BK=sets_BK)
    found = run_engine(engine, [batch])
    np.testing.assert_array_equal(found.truth, sets_BK[[0, 1, 3, 4]].numpy())


def test_threads_share_one():
    """Every call gives what it gives alone, and none changes a mode."""
    engine = engine_of(bundle_of(view_heads={}))
    batches = [batch_of(seed=seed) for seed in range(8)] * 3
    wanted = [engine.outputs(batch, each_view=True) for batch in batches]
    modes = [module.training for module in engine.model.modules()]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda batch: engine.outputs(batch, each_view=True), batches))
    for one, other in zip(found, wanted, strict=True):
        require_equal(one, other)
    assert modes == [module.training for module in engine.model.modules()] == [False] * len(modes)


def test_the_mode_is_the_owners():
    """A call neither sets it nor answers in training mode; around a pass it is set once and comes back."""
    engine = engine_of(bundle_of())
    wanted = engine.outputs(batch_of())
    engine.model.train()
    with pytest.raises(AssertionError, match="evaluation mode"):
        engine.outputs(batch_of())
    with evaluating(engine.model):
        require_equal(engine.outputs(batch_of()), wanted)
    assert engine.model.training
    with pytest.raises(KeyError), evaluating(engine.model):
        raise KeyError
    assert engine.model.training


def test_formats_are_put_together_in_one_place():
    engine = engine_of(bundle_of(), precision="bf16", channels_last=True)
    assert engine.forward.precision == "bf16"
    assert any(p.is_contiguous(memory_format=torch.channels_last) for p in engine.model.parameters() if p.ndim == 4)
    plain = engine_of(bundle_of()).outputs(batch_of()).logits_NK
    np.testing.assert_allclose(engine.outputs(batch_of()).logits_NK, plain, atol=0.1)
    root = Path(obverse.__file__).parent
    calls = {
        (path.name, node.func.id)
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Forward", "TorchEngine")
    }
    assert calls == set(), "use from_bundle"


@pytest.mark.parametrize(
    "images_BVCHW",
    [torch.zeros(3, 1, 3, 12, 16, dtype=torch.uint8), torch.zeros(3, 2, 3, 16, 12, dtype=torch.uint8),
     torch.zeros(3, 2, 3, 12, 16)],
    ids=["views", "size", "type"],
)  # fmt: skip
def test_pictures_of_another_shape_are_refused(images_BVCHW):
    batch = replace(batch_of(3), images_BVCHW=images_BVCHW)
    with pytest.raises(DataError, match="the model takes pictures of the shape"):
        run_engine(engine_of(bundle_of()), [batch])
