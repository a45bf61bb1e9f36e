"""The Open Inference Protocol, version 2, as KServe, Triton and OpenVINO Model Server speak it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from obverse.inference import Prediction, Predictor
from obverse.serving.refusals import Refusal
from obverse.serving.sample import Sample
from obverse.serving.service import Service, picture_names

from .call import Answer, Call, read_json
from .tensors import Array, Tensor, read_tensors, write_tensor

HEADER_LENGTH = "inference-header-content-length"


def server_metadata() -> Answer:
    """Name, version and extensions of the server."""
    extensions = ["binary_tensor_data"]
    return Answer.of_json({"name": "obverse", "version": version("obverse"), "extensions": extensions})


def model_ready(service: Service, name: str) -> Answer:
    """That the model is ready. Refusal: unknown-model."""
    return Answer.of_json({"name": service.lane(name).name, "ready": True})


def model_metadata(service: Service, name: str) -> Answer:
    """Inputs and outputs of a model. An input of pictures also takes pixels, UINT8 (samples, height, width, 3)."""
    predictor = service.lane(name).predictor
    inputs = [
        {"name": each, "datatype": "BYTES", "shape": [-1]} for each in picture_names(predictor) + predictor.columns
    ]
    outputs = []
    for output in OUTPUTS:
        is_text = output not in ("probabilities", "confidence")
        shape = [-1, len(predictor.classes)] if output == "probabilities" else [-1]
        outputs.append({"name": output, "datatype": "BYTES" if is_text else "FP32", "shape": shape})
    metadata = {"name": name, "versions": ["1"], "platform": "obverse", "inputs": inputs, "outputs": outputs}
    return Answer.of_json(metadata)


async def infer(call: Call) -> Answer:
    """Predictions for a batch of tensors."""
    head, binary = _split(call)
    lane = call.service.lane(call.model)
    columns = lane.predictor.columns
    tensors = read_tensors(head.get("inputs"), binary, texts=columns, max_samples=call.service.limits.max_samples)
    wanted = _wanted_outputs(head)
    answers = await call.service.answer(lane, _samples(tensors, lane.predictor))
    predictions = []
    for place, each in enumerate(answers):
        if isinstance(each, Refusal):
            raise Refusal(each.code, f"sample {place}: {each.message}")
        predictions.append(each.prediction)
    outputs = [
        write_tensor(name, OUTPUTS[name](predictions, lane.predictor), is_binary=is_binary)
        for name, is_binary in wanted
    ]
    return _written(head.get("id"), lane.name, outputs)


def _split(call: Call) -> tuple[dict[str, Any], memoryview]:
    """The JSON object and the binary data. Refusal: bad-json, too-large."""
    length = call.headers.get(HEADER_LENGTH)
    if length is not None and not (length.isascii() and length.isdecimal() and int(length) <= len(call.body)):
        raise Refusal("bad-json", "Inference-Header-Content-Length must be a number within the body")
    size = len(call.body) if length is None else int(length)
    head = read_json(call.body[:size])
    if not isinstance(head, dict):
        raise Refusal("bad-json", "the body must be a JSON object")
    return head, memoryview(call.body)[size:]


def _samples(tensors: Sequence[Tensor], predictor: Predictor) -> list[Sample]:
    """Samples of the inputs; an empty picture is a missing view. Refusal: bad-tensor."""
    views, columns = picture_names(predictor), predictor.columns
    names = [tensor.name for tensor in tensors]
    if len(set(names)) < len(names) or not set(names) <= {*views, *columns} or not set(names) & set(views):
        what = f"{', '.join(views)}{' and of ' if columns else ''}{', '.join(columns)}"
        raise Refusal("bad-tensor", f"the inputs must be some of {what}, each once, and at least one of pictures")
    if len({len(tensor.values) for tensor in tensors}) > 1:
        raise Refusal("bad-tensor", "the inputs have different numbers of samples")
    samples = []
    for place in range(len(tensors[0].values)):
        row = {tensor.name: tensor.values[place] for tensor in tensors}
        pictures = {view: row[view] for view in views if view in row and len(row[view])}
        texts = {name: bytes(row[name]).decode("utf-8", "replace") for name in columns if name in row}
        samples.append(Sample(str(place), pictures, {name: text for name, text in texts.items() if text}))
    return samples


def _texts(of_one: Callable[[Prediction], str]) -> Callable[[Sequence[Prediction], Predictor], Array]:
    return lambda predictions, _: [of_one(each) for each in predictions]


def _probabilities(predictions: Sequence[Prediction], predictor: Predictor) -> Array:
    """(N, K), in class order."""
    rows = [dict(each.top) for each in predictions]
    return np.array([[row[name] for name in predictor.classes] for row in rows], np.float32)


def _confidence(predictions: Sequence[Prediction], _: Predictor) -> Array:
    return np.array([np.nan if each.confidence is None else each.confidence for each in predictions], np.float32)


OUTPUTS: dict[str, Callable[[Sequence[Prediction], Predictor], Array]] = {
    "label": _texts(lambda each: "|".join(sorted(name for name, _ in each.labels))),
    "probabilities": _probabilities,
    "confidence": _confidence,
    "set": _texts(lambda each: "|".join(each.set)),
    "decision": _texts(lambda each: each.decision or ""),
    "reason": _texts(lambda each: each.reason),
}
"""Name -> values; a label set, and a prediction set, is its classes joined by `|`."""


def _wanted_outputs(head: dict[str, Any]) -> list[tuple[str, bool]]:
    """(name, whether in binary form) of every output. Refusal: bad-tensor."""
    parameters = head.get("parameters")
    is_binary = isinstance(parameters, dict) and parameters.get("binary_data_output") is True
    outputs = head.get("outputs")
    if outputs is None:
        return [(name, is_binary) for name in OUTPUTS]
    if not isinstance(outputs, list) or not all(isinstance(each, dict) for each in outputs):
        raise Refusal("bad-tensor", "`outputs` must be a list of objects")
    wanted = []
    for each in outputs:
        if each.get("name") not in tuple(OUTPUTS):
            raise Refusal("bad-tensor", f"the outputs are {', '.join(OUTPUTS)}")
        own = each.get("parameters")
        is_own = own.get("binary_data", is_binary) if isinstance(own, dict) else is_binary
        wanted.append((each["name"], is_own is True))
    return wanted


def _written(request_id: Any, model: str, outputs: Sequence[tuple[dict[str, Any], bytes]]) -> Answer:
    head = {"model_name": model, "model_version": "1", "outputs": [tensor for tensor, _ in outputs]}
    if isinstance(request_id, str):
        head["id"] = request_id
    binary = b"".join(data for _, data in outputs)
    if not binary:
        return Answer.of_json(head)
    text = json.dumps(head, ensure_ascii=False).encode("utf-8", "replace")
    return Answer(text + binary, 200, "application/octet-stream", {HEADER_LENGTH: str(len(text))})
