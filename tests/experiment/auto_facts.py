"""Facts about data that is nowhere, and what `auto` makes of them."""

from pathlib import Path

from obverse import models
from obverse.experiment.auto import resolve
from obverse.manifest import Index, Manifest, Sample
from obverse.manifest.verify import PictureFacts
from obverse.recipe import build_recipe

CPU = {"device": "cpu", "matmul": "highest", "num_threads": 1, "num_workers": 0}
UNREACHABLE = "the hub cannot be reached"


def set_hub(monkeypatch, reason):
    monkeypatch.setattr(models, "why_unavailable", lambda name: reason)
    monkeypatch.setattr(models, "is_cached", lambda name: False)
    return reason


def index_of(size=(32, 32), *, counts=(20, 20), views=("image",), ordered=False, sizes=None) -> Index:
    samples, size_of = [], {}
    for k, count in enumerate(counts):
        for n in range(count):
            paths = {view: f"{k}/{view}/{n}.png" for view in views}
            split = ("train", "train", "val", "test")[n % 4]
            samples.append(Sample(f"{k}/{n}", f"class{k}", paths, split=split))
            size_of |= dict.fromkeys(paths.values(), sizes[n % len(sizes)] if sizes else size)
    classes = tuple(f"class{k}" for k in range(len(counts)))
    manifest = Manifest(Path("nowhere"), tuple(samples), classes, tuple(views), ordered)
    facts = PictureFacts.empty(list(size_of), details=False)
    facts.usable_N[:], facts.sizes_N2[:] = True, list(size_of.values())
    return Index(manifest, (), facts, "", "class-folders")


def resolved(index=None, **sections):
    return resolve(build_recipe({"runtime": CPU, **sections}, "test"), index or index_of())
