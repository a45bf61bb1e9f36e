"""Loaders of training and validation batches, and the targets added to a training batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from obverse.data import Batch, Loader, mix
from obverse.recipe import ResolvedRecipe


@dataclass(frozen=True)
class Loaders:
    """Loaders of one training run."""

    train: Loader
    """Training batches, shuffled and augmented."""

    val: Loader
    """Validation batches, in manifest order."""

    plain: Loader | None = None
    """Training batches without augmentation, for fitting the head first."""

    teach: Callable[[Batch], Batch] | None = None
    """Function that adds a teacher's soft targets to a training batch."""

    def with_targets(self, batch: Batch, recipe: ResolvedRecipe, *, num_classes: int, epoch: int) -> Batch:
        """The batch with the teacher's soft targets, then mixed by mixup or cutmix, where the recipe has them."""
        if self.teach is not None:
            batch = self.teach(batch)
        if recipe.mixing.is_on:
            batch = mix(batch, recipe.mixing, num_classes=num_classes, seed=recipe.training.seed, epoch=epoch)
        return batch

    def close(self) -> None:
        """Shutdown of all loader processes."""
        for loader in (self.train, self.val, self.plain):
            if loader is not None:
                loader.close()
