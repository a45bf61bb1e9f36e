"""A model over a split, once: class logits, embeddings, and what each view alone would say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from obverse.data import Batch
from obverse.models import Classifier
from obverse.runtime import Process, autocast, dealt_order

from .forward import Forward


@dataclass(frozen=True)
class Outputs:
    """Row i of each array is ids[i]; logits are class logits. NaN where a view is missing, alone_VNK: of the whole
    model when it sees one view only; grades_VNK: of the view's own head, where views have one. label_sets_NK: of
    multi-label data which classes a sample has, labels_N then being -1.
    """

    ids: tuple[str, ...]
    labels_N: npt.NDArray[np.int64]
    logits_NK: npt.NDArray[np.float32]
    embeddings_ND: npt.NDArray[np.float32]
    alone_VNK: tuple[npt.NDArray[np.float32], ...]
    grades_VNK: tuple[npt.NDArray[np.float32], ...] = ()
    label_sets_NK: npt.NDArray[np.bool_] | None = None


def run_model(model: Classifier, forward: Forward, batches: Iterable[Batch], *, each_view: bool = False) -> Outputs:
    """Run `batches` through the model in evaluation mode; samples with a false mask are left out.

    each_view: also grade every view alone, when there are several. The backbones run once per picture either way. Of
    several ranks the main one gets all rows, in manifest order; the others get none.
    """
    ids: list[list[str]] = []
    parts: list[list[torch.Tensor]] = []
    was_training = model.training
    model.eval()
    # Not inference mode: FSDP gathers weights here that training uses again.
    with torch.no_grad():
        for batch in batches:
            rows = _run_batch(model, forward, batch.to(forward.device), each_view=each_view)
            keep = batch.valid_B
            ids.append([name for name, valid in zip(batch.ids, keep.tolist(), strict=True) if valid])
            truth = batch.labels_B if batch.label_sets_BK is None else batch.label_sets_BK
            parts.append([row[keep] for row in [truth, *rows]])
    model.train(was_training)
    names, columns = _of_all_ranks(forward.process, ids, [torch.cat(column) for column in zip(*parts, strict=True)])
    known, logits, embeddings, *of_views = (column.numpy() for column in columns)
    num_alone = len(of_views) // 2 if model.grades_views else len(of_views)
    alone, grades = tuple(of_views[:num_alone]), tuple(of_views[num_alone:])
    if known.ndim == 1:
        return Outputs(names, known, logits, embeddings, alone, grades)
    return Outputs(names, np.full(len(known), -1, np.int64), logits, embeddings, alone, grades, known)


def _of_all_ranks(
    process: Process, ids: list[list[str]], columns: list[torch.Tensor]
) -> tuple[tuple[str, ...], list[torch.Tensor]]:
    """Every rank's rows, put back into the order from which they were dealt; ids: batch by batch."""
    mine = [name for batch in ids for name in batch]
    if process.is_alone:
        return tuple(mine), columns
    shares = process.gather((list(map(len, ids)), mine, columns))
    if not process.is_main:
        return (), [column[:0] for column in columns]
    order = dealt_order([counts for counts, _, _ in shares])
    names = [name for _, share, _ in shares for name in share]
    whole = [torch.cat(parts)[order] for parts in zip(*(share for _, _, share in shares), strict=True)]
    return tuple(names[place] for place in order), whole


def _run_batch(model: Classifier, forward: Forward, batch: Batch, *, each_view: bool) -> list[torch.Tensor]:
    """[logits, embeddings, logits of each view alone, logits of each view's own head], fp32 on the CPU."""
    num_views = batch.present_BV.shape[1] if each_view else 1
    with autocast(forward.device, forward.precision):
        features_BVD = model.features(forward.inputs(batch))
        embeddings_BD = model.fuse(features_BVD, batch.present_BV, batch.columns_BE)
        rows = [forward.class_logits(model.head(embeddings_BD)), embeddings_BD]
        of_views = [
            model.head(model.fuse(features_BVD, batch.only_view(view).present_BV, batch.columns_BE))
            for view in range(num_views if num_views > 1 else 0)
        ]
        if of_views and model.grades_views:
            of_views += model.grade_views(features_BVD).unbind(1)
        for place, logits in enumerate(of_views):
            is_here_B1 = batch.present_BV[:, place % num_views, None]
            rows.append(torch.where(is_here_B1, forward.class_logits(logits), torch.nan))
    return [row.float().cpu() for row in rows]
