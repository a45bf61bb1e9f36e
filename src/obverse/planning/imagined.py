"""Placeholder data for a plan: numbers of samples, classes and views, without pictures."""

from __future__ import annotations

from pathlib import Path

from obverse.errors import RecipeError
from obverse.manifest import Index, Manifest, PictureFacts, Sample, Samples, fit_columns
from obverse.recipe import Recipe, Size


def imagined_index(recipe: Recipe, *, num_classes: int, num_samples: int) -> Index:
    """Index of placeholder samples in the recipe's views and split fractions.

    RecipeError when the recipe derives the picture size from the data.
    """
    if not isinstance(recipe.data.size, Size):
        raise RecipeError("plan: without DATA the recipe must say data.size, for example "
                          "--set 'data.size={height: 224, width: 224}'")  # fmt: skip
    views = recipe.data.views if isinstance(recipe.data.views, tuple) else ("image",)
    order = recipe.data.order
    classes = order if isinstance(order, tuple) else tuple(f"class{k}" for k in range(num_classes))
    shares = recipe.data.split
    num_train, num_val = round(shares.train * num_samples), round(shares.val * num_samples)
    samples = []
    for n in range(num_samples):
        split = "train" if n < num_train else "val" if n < num_train + num_val else "test"
        paths = {view: f"{view}/{n}" for view in views}
        samples.append(Sample(f"{n}", classes[n % len(classes)], paths, split=split))
    facts = PictureFacts.empty([path for sample in samples for path in sample.views.values()], details=False)
    facts.usable_N[:] = True
    facts.sizes_N2[:] = recipe.data.size.height, recipe.data.size.width
    is_multi = recipe.data.labels == "multi"
    manifest = Manifest(Path(), Samples.of(samples), classes, views, isinstance(order, tuple), multi_label=is_multi)
    manifest = fit_columns(manifest, recipe.data.columns)
    return Index(manifest, (), facts, "imagined", "manifest")
