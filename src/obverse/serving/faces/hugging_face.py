"""Hugging Face's task `image-classification`: one picture in, `[{"label", "score"}]` out."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from obverse.inference import Predictor
from obverse.serving.refusals import Refusal
from obverse.serving.sample import Sample
from obverse.serving.service import picture_names

from .call import Answer, Call, read_json, read_top_k
from .own import shortened

# The task's own default.
TOP_K = 5


async def classify(call: Call) -> Answer:
    """Classes of a picture: the body itself, or `inputs` of a JSON object, in base64.

    The header `x-obverse-decision` says `accept`, `review` or `reject` where the model has a rule for it.
    """
    lane = call.service.lane(call.model)
    picture, parameters = call.body, dict[str, Any]()
    if call.content_type == "application/json":
        picture, parameters = _of_json(read_json(call.body))
    top_k = read_top_k(parameters.get("top_k", call.query.get("top_k")), TOP_K)
    _require_function(parameters.get("function_to_apply"), lane.predictor)
    views = picture_names(lane.predictor)
    if len(views) > 1:
        raise Refusal("bad-sample", f"this model looks at {', '.join(views)}, and this protocol sends one picture; "
                      "use /v1/predict")  # fmt: skip
    (answer,) = await call.service.answer(lane, [Sample("picture", {views[0]: picture})])
    if isinstance(answer, Refusal):
        raise answer
    prediction = answer.prediction
    top = shortened(prediction, top_k).top[:top_k]
    headers = {} if prediction.decision is None else {"x-obverse-decision": prediction.decision}
    return Answer.of_json([{"label": name, "score": probability} for name, probability in top], headers=headers)


def _of_json(value: Any) -> tuple[bytes, dict[str, Any]]:
    """Picture and parameters. Refusal: bad-json, bad-parameter."""
    if not isinstance(value, dict) or not isinstance(value.get("inputs"), str):
        raise Refusal("bad-json", "the JSON object needs `inputs`, a picture in base64; addresses are not fetched")
    parameters = value.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise Refusal("bad-parameter", "`parameters` must be an object")
    return read_base64(value["inputs"]), parameters or {}


def read_base64(text: str) -> bytes:
    """Bytes of a base64 text, with or without the head of a data address. Refusal: bad-parameter."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal("bad-parameter", "a picture must be in base64; paths and addresses are not read") from None


def _require_function(function: Any, predictor: Predictor) -> None:
    """Scores are the calibrated probabilities; no other function is applied. Refusal: bad-parameter."""
    own = "sigmoid" if predictor.bundle.kind.is_set else "softmax"
    if function not in (None, own):
        raise Refusal("bad-parameter", f"scores of this model are its calibrated probabilities ({own})")
