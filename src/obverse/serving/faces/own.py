"""The protocol `/v1`: forms with several views and several samples; answers as those of `obverse predict`."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from obverse.explain import Overlay
from obverse.inference import TOP_K, Prediction, Predictor, as_json
from obverse.serving.lane import Lane
from obverse.serving.limits import MAX_TEXT_BYTES
from obverse.serving.refusals import Refusal
from obverse.serving.sample import Answered, Sample
from obverse.serving.service import Service, picture_names
from obverse.serving.similar import TrainingPictures

from .call import Answer, Call, read_flag, read_top_k
from .multipart import Part, read_form

PICTURE_TYPES = "image/", "application/octet-stream"
# Fields of a form that belong to no sample.
OPTIONS = ("model", "top_k", "maps")


def list_models(service: Service) -> Answer:
    """What every model takes and answers."""
    return Answer.of_json({"models": [_described(lane) for lane in service.lanes.values()]})


def _described(lane: Lane) -> dict[str, Any]:
    bundle = lane.predictor.bundle
    return {
        "name": lane.name,
        "views": list(picture_names(lane.predictor)),
        "columns": list(lane.predictor.columns),
        "classes": list(bundle.classes),
        "is_label_set": bundle.kind.is_set,
        "is_ordered": bundle.kind.ordered,
        "is_calibrated": bundle.output.calibration is not None,
        "set_level": None if bundle.output.sets is None else bundle.output.sets.level,
        "has_maps": lane.has_maps,
        "max_samples": lane.limits.max_samples,
        "max_body_bytes": lane.limits.max_body_bytes,
    }


async def predict(call: Call) -> Answer:
    """Answers to a form, or to one picture as the whole body.

    A part is called by its view, or SAMPLE.VIEW; a value by its column, or SAMPLE.COLUMN. Without names of samples, the
    n-th picture of each view belongs to the n-th sample.
    """
    parts = _parts(call)
    fields = {part.name: _text(part) for part in parts if part.name in OPTIONS and part.filename is None}
    lane = call.service.lane(call.model or fields.get("model") or call.query.get("model"))
    samples = _samples(parts, lane.predictor)
    top_k = read_top_k(fields.get("top_k", call.query.get("top_k")), TOP_K)
    has_maps = read_flag("maps", fields.get("maps", call.query.get("maps")))
    answers = await call.service.answer(lane, samples, has_maps=has_maps)
    training = call.service.training.get(lane.name)
    rows = [_row(sample, each, top_k, training) for sample, each in zip(samples, answers, strict=True)]
    failed = [each for each in answers if isinstance(each, Refusal)]
    if len(failed) < len(answers):
        return Answer.of_json({"model": lane.name, "predictions": rows})
    body = {**failed[0].as_json(), "model": lane.name, "predictions": rows}
    return Answer.of_json(body, status=failed[0].status, headers=failed[0].headers)


async def training_picture(service: Service, model: str, number: str) -> Answer:
    """Thumbnails of a training sample's views. number: of `similar` in an answer. Refusal: not-found, overloaded."""
    training = service.training.get(service.lane(model).name)
    if training is None:
        raise Refusal("not-found", "this model shows no training pictures")
    pictures = [{"view": each.name, "picture": _data("webp", each.encoded)} for each in await training.pictures(number)]
    return Answer.of_json({"pictures": pictures})


def _row(sample: Sample, answer: Answered | Refusal, top_k: int, training: TrainingPictures | None) -> dict[str, Any]:
    if isinstance(answer, Refusal):
        return {"id": sample.id, **answer.as_json()}
    row = {**as_json(shortened(answer.prediction, top_k)), "set_words": answer.prediction.set_words}
    if training is not None:
        row["similar"] = [{**each, "number": training.number(each["id"])} for each in row["similar"]]
    if answer.maps:
        row["maps"] = {name: _map(each) for name, each in answer.maps.items()}
    return row


def _map(overlay: Overlay) -> dict[str, str]:
    return {"picture": _data("png", overlay.png), "strongest": overlay.strongest}


def _data(kind: str, encoded: bytes) -> str:
    """A picture as a data address, which the policy of the page allows."""
    return f"data:image/{kind};base64," + base64.b64encode(encoded).decode("ascii")


def shortened(prediction: Prediction, top_k: int) -> Prediction:
    """The prediction with `top_k` classes in `top`; a label set keeps all."""
    return prediction if prediction.is_set else replace(prediction, top=prediction.top[:top_k])


def _parts(call: Call) -> list[Part]:
    if call.content_type == "multipart/form-data":
        return read_form(call.body, call.headers["content-type"])
    if call.content_type.startswith(PICTURE_TYPES) and call.body:
        return [Part("", "picture", bytearray(call.body))]
    raise Refusal("wrong-type", "send multipart/form-data, or one picture with its own media type")


def _samples(parts: Sequence[Part], predictor: Predictor) -> list[Sample]:
    """The samples of a form, in the order of their first pictures. Refusal: bad-parameter, too-large."""
    views = picture_names(predictor)
    # (name of the sample, or empty; number of an unnamed one) -> view -> part.
    pictures: dict[tuple[str, int], dict[str, Part]] = defaultdict(dict)
    common: dict[str, str] = {}
    columns: dict[str, dict[str, str]] = defaultdict(dict)
    numbers: dict[str, int] = defaultdict(int)
    for part in parts:
        if part.filename is None and part.name in OPTIONS:
            continue
        names = predictor.columns if part.filename is None else views
        sample, name = _apart(part, names)
        if part.filename is None:
            (columns[sample] if sample else common)[name] = _text(part)
            continue
        numbers[name] += not sample
        of_sample = pictures[sample, 0 if sample else numbers[name]]
        if name in of_sample:
            raise Refusal("bad-parameter", "a sample has two pictures of one view; call them SAMPLE.VIEW")
        of_sample[name] = part
    if len({number for number in numbers.values() if number}) > 1:
        raise Refusal("bad-parameter", "the views have unequal numbers of pictures; call them SAMPLE.VIEW")
    if not pictures:
        raise Refusal("bad-parameter", f"the form has no picture; call them {' and '.join(views)}")
    return [_sample(name, of_views, {**common, **columns.get(name, {})}) for (name, _), of_views in pictures.items()]


def _sample(name: str, parts: Mapping[str, Part], columns: Mapping[str, str]) -> Sample:
    """A sample, named as the client names it, or after its files."""
    title = name or " + ".join(part.filename or "" for part in parts.values())
    return Sample(title, {view: bytes(part.data) for view, part in parts.items()}, columns)


def _apart(part: Part, names: Sequence[str]) -> tuple[str, str]:
    """Sample and view, or column, of a part; the sample is empty where the name has none."""
    if part.name in names:
        return "", part.name
    if part.filename is not None and len(names) == 1 and part.name in ("", "file"):
        return "", names[0]
    for name in names:
        if part.name.endswith(f".{name}") and len(part.name) > len(name) + 1:
            return part.name.removesuffix(f".{name}"), name
    what = "column" if part.filename is None else "view"
    has = f"this model has {', '.join(names)}" if names else "this model has none"
    raise Refusal("bad-parameter", f"a part names no {what} of the model: {has}")


def _text(part: Part) -> str:
    if len(part.data) > MAX_TEXT_BYTES:
        raise Refusal("too-large", f"a value has at most {MAX_TEXT_BYTES} bytes")
    return part.data.decode("utf-8", "replace")
