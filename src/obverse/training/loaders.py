"""The batches of a training, and what is done to one before it is learned from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from obverse.data import Batch, Loader, mix
from obverse.recipe import ResolvedRecipe


@dataclass(frozen=True)
class Loaders:
    """train: shuffled and augmented; val: in manifest order; plain: train as it is, where a head is fitted first.

    teach: gives a batch of train soft targets, before neighbours are mixed.
    """

    train: Loader
    val: Loader
    plain: Loader | None = None
    teach: Callable[[Batch], Batch] | None = None

    def taught(self, batch: Batch, recipe: ResolvedRecipe, *, num_classes: int, epoch: int) -> Batch:
        """A batch of train as a step sees it: with the teacher's targets, neighbours mixed."""
        if self.teach is not None:
            batch = self.teach(batch)
        if recipe.mixing.is_on:
            batch = mix(batch, recipe.mixing, num_classes=num_classes, seed=recipe.training.seed, epoch=epoch)
        return batch

    def close(self) -> None:
        """End the processes that load, when training ends in whatever way."""
        for loader in (self.train, self.val, self.plain):
            if loader is not None:
                loader.close()
