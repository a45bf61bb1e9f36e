"""The files of a Transformers model, in a local folder, in the hub's cache, or on the hub.

config.json                what the model is
preprocessor_config.json   mean, std, and the middle of a picture that is kept
model.safetensors          tensors, or pytorch_model.bin
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from obverse.errors import DataError, RecipeError, UnavailableError
from obverse.recipe import CONFIG_IGNORED, HFBackbone

from .hub import cached, not_here, unknown_statistics, why_not_on_hub
from .weight_files import CONFIG, PREPROCESSOR, Framing, find_weights, one_line, read_json

HALF = (0.5, 0.5, 0.5)
KEYS = ("mean", "std")
# From this side on, Transformers' ConvNextImageProcessor, whose file says crop_pct, cuts nothing.
CONVNEXT_SQUASHES = 384
# Said about the weights' own classes, or about where the file was: no part of the model.
FOREIGN = CONFIG_IGNORED | {"id2label", "label2id", "_name_or_path", "transformers_version"}


def described(spec: HFBackbone) -> HFBackbone:
    """The spec completed by the configuration, mean and std beside the weights, so that it can be built anywhere."""
    if spec.config is not None and spec.mean and spec.std:
        return spec
    config = spec.config if spec.config is not None else read_config(spec)
    mean, std = weights_statistics(spec)
    return spec.changed({"config": config, "mean": mean, "std": std})


def weights_statistics(spec: HFBackbone) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) of preprocessor_config.json, for pixels from 0 to 1.

    UnavailableError when pretrained weights need the file and it is not available or has no values, because a guess
    would be a silent error. From scratch the default is 0.5 for all.
    """
    if spec.mean and spec.std:
        return spec.mean, spec.std
    values = _preprocessor_here(spec) if spec.is_scratch else _preprocessor(spec)
    if values.get("do_normalize") is False:
        return spec.mean or (0.0, 0.0, 0.0), spec.std or (1.0, 1.0, 1.0)
    statistics: list[Any] = [
        getattr(spec, key) or values.get(f"image_{key}") or (HALF if spec.is_scratch else None) for key in KEYS
    ]
    if None in statistics:
        raise unknown_statistics(f"{PREPROCESSOR} of `{spec.name}`", "there is none, or it does not say them")
    mean, std = (tuple(map(float, value)) for value in statistics)
    if len(mean) != 3 or len(std) != 3:
        raise DataError(f"{PREPROCESSOR} of `{spec.name}` is not for colour pictures: mean {mean}, std {std}")
    return mean, std


def weights_framing(spec: HFBackbone) -> Framing:
    """Training size and crop fraction of the weights: from a local preprocessor file, else from the configuration."""
    if spec.is_scratch:
        return None, 1.0
    own, values = image_size(read_config(spec)), _preprocessor_here(spec)
    resized, cut = _side(values.get("size")), _side(values.get("crop_size"))
    if values.get("do_center_crop") and resized and cut:
        return (cut, cut), min(1.0, cut / resized)
    if resized < CONVNEXT_SQUASHES:
        return own, float(values.get("crop_pct") or 1)
    return own, 1.0


def _side(value: Any) -> int:
    """Side in pixels, of {height, width}, {shortest_edge}, or a number in older files; 0 if there is none."""
    if isinstance(value, dict):
        value = value.get("shortest_edge", value.get("height"))
    return value if isinstance(value, int) else 0


def read_config(spec: HFBackbone) -> dict[str, Any]:
    """Configuration of the model: from the recipe, else from config.json, without FOREIGN entries."""
    values = spec.config if spec.config is not None else _read_beside(spec, CONFIG)
    if not values:
        raise UnavailableError(f"model.backbone: there is no {CONFIG} in {str(local_folder(spec) or spec.name)!r}, and "
                               "it says what the model is")  # fmt: skip
    if "architecture" in values and "model_type" not in values:
        raise RecipeError(f"`{spec.name}` is a model of timm: say kind: timm, name: {values['architecture']}, and give "
                          "the folder as pretrained")  # fmt: skip
    if not isinstance(values.get("model_type"), str):
        raise DataError(f"{CONFIG} of `{spec.name}` does not say its model_type")
    return {key: value for key, value in values.items() if key not in FOREIGN}


def is_on_hub(spec: HFBackbone) -> bool:
    """Whether the weights are those of a name on the hub, and not a file or folder here."""
    return spec.pretrained == "hub" and local_folder(spec) is None


def local_folder(spec: HFBackbone) -> Path | None:
    """The local folder that the recipe names, if it does."""
    for place in (spec.pretrained, spec.name) if spec.pretrained not in ("hub", "none") else (spec.name,):
        path = Path(place).expanduser()
        if path.is_dir():
            return path
        if path.is_file():
            return path.parent
    return None


def image_size(config: dict[str, Any]) -> tuple[int, int] | None:
    """(height, width) of the pictures that the weights were trained on, where the configuration says them."""
    size = config.get("image_size") or (config.get("vision_config") or {}).get("image_size")
    match size:
        case int():
            return size, size
        case [int(height), int(width)]:
            return height, width
    return None


def _preprocessor(spec: HFBackbone) -> dict[str, Any]:
    try:
        return _read_beside(spec, PREPROCESSOR)
    except UnavailableError:
        reason = why_not_on_hub(spec.name, (PREPROCESSOR,)) or "the hub does not give it"
        raise unknown_statistics(f"{PREPROCESSOR} of `{spec.name}`", reason) from None


def _preprocessor_here(spec: HFBackbone) -> dict[str, Any]:
    """The preprocessor file in the local folder or in the hub's cache, without asking the hub; else empty."""
    folder = local_folder(spec)
    path = folder / PREPROCESSOR if folder else cached(spec.name, PREPROCESSOR)
    return read_json(path) if isinstance(path, Path) else {}


def _read_beside(spec: HFBackbone, file: str) -> dict[str, Any]:
    """A JSON file beside the weights, local or on the hub; empty if it is known not to exist."""
    folder = local_folder(spec)
    path = folder / file if folder else _downloaded(spec.name, file)
    return read_json(path) if path else {}


def _downloaded(name: str, file: str) -> Path | None:
    """The downloaded file; None if the hub is known not to have it. UnavailableError when that is unknown."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    if reason := why_not_on_hub(name, (file,)):
        if cached(name, file) is False:
            return None
        raise not_here(name, reason, local="path/to/folder")
    try:
        return Path(hf_hub_download(name, file))
    except LocalEntryNotFoundError as error:
        raise not_here(name, f"the hub did not answer: {one_line(error)}", local="path/to/folder") from None
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise not_here(name, f"the hub answered: {one_line(error)}", local="path/to/folder") from None


def weights_of(spec: HFBackbone) -> Path:
    """The weight file: a local one, else from the hub's cache or the hub. UnavailableError when there is none."""
    if not is_on_hub(spec):
        return find_weights(spec.name if spec.pretrained == "hub" else spec.pretrained)
    fault = not_here(spec.name, "it has no weights in one file", local="path/to/folder")
    for file in ("model.safetensors", "pytorch_model.bin"):
        try:
            if path := _downloaded(spec.name, file):
                return path
        except UnavailableError as error:
            fault = error
    raise fault
