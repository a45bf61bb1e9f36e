"""The network as ONNX for sessions of other runtimes: fitted pictures in, class logits and embeddings out."""

from __future__ import annotations

import torch
from torch import nn

from obverse.bundle import Bundle
from obverse.data import Batch
from obverse.models import Classifier

from .forward import Forward
from .onnx_export import to_onnx

IMAGES, PRESENT, COLUMNS = "images", "present", "columns"
LOGITS, EMBEDDINGS, ALONE, GRADES = "logits", "embeddings", "alone", "grades"


class Network(nn.Module):
    """Module of the forward pass, with tensors in and out."""

    def __init__(self, bundle: Bundle, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier
        self.forward_pass = Forward.from_bundle(bundle, torch.device("cpu"))

    def forward(
        self,
        images_BVCHW: torch.Tensor,
        present_BV: torch.Tensor | None = None,
        columns_BE: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """Class logits, embeddings, and of several views the logits (V, B, K) of each alone and by its own head."""
        if present_BV is None:
            present_BV = torch.ones(images_BVCHW.shape[:2], dtype=torch.bool)
        batch = Batch.unlabelled(images_BVCHW, present_BV, columns_BE=columns_BE)
        answers = self.forward_pass.answers(self.classifier, batch, each_view=True)
        of_views = [torch.stack(rows) for rows in (answers.alone_VBK, answers.grades_VBK) if rows]
        return answers.logits_BK, answers.embeddings_BD, *of_views


def network_onnx(bundle: Bundle, classifier: Classifier) -> bytes:
    """The ONNX model of a classifier on the CPU, for any batch size. UnavailableError without the packages."""
    num_views, geometry, any_size = len(bundle.views), bundle.geometry, torch.export.Dim.DYNAMIC
    several = num_views > 1
    images = torch.zeros(2, num_views, 3, geometry.canvas_height, geometry.canvas_width, dtype=torch.uint8)
    present = torch.ones(2, num_views, dtype=torch.bool) if several else None
    columns = torch.zeros(2, len(bundle.columns)) if bundle.columns else None
    inputs = {IMAGES: images, PRESENT: present, COLUMNS: columns}
    proto = to_onnx(
        Network(bundle, classifier).eval(),
        tuple(inputs.values()),
        input_names=[name for name, tensor in inputs.items() if tensor is not None],
        output_names=[LOGITS, EMBEDDINGS, *[ALONE, GRADES][: several + (several and classifier.grades_views)]],
        dynamic_shapes=tuple(None if tensor is None else {0: any_size} for tensor in inputs.values()),
    )
    data: bytes = proto.SerializeToString()
    return data
