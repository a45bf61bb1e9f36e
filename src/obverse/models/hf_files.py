"""The files of a Transformers model, in a local folder, in the hub's cache, or on the hub.

config.json                what the model is
preprocessor_config.json   mean and std
model.safetensors          tensors, or pytorch_model.bin
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from obverse.errors import DataError, RecipeError, UnavailableError
from obverse.recipe import HFBackbone

from .hub import not_here, why_not_on_hub
from .weight_files import CONFIG, PREPROCESSOR, find_weights, one_line, read_json

HALF = (0.5, 0.5, 0.5)
# Said about the weights' own classes, or about where the file was: no part of the model.
FOREIGN = ("id2label", "label2id", "_name_or_path", "transformers_version", "torch_dtype", "dtype", "auto_map")


def described(spec: HFBackbone) -> HFBackbone:
    """The same with what lies beside the weights: configuration, mean and std. Then it can be built anywhere."""
    if spec.config is not None and spec.mean and spec.std:
        return spec
    config = spec.config if spec.config is not None else read_config(spec)
    mean, std = weights_statistics(spec)
    return spec.model_copy(update={"config": config, "mean": mean, "std": std})


def weights_statistics(spec: HFBackbone) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) as preprocessor_config.json says, in 0..1 units; 0.5 where there is none."""
    if spec.mean and spec.std:
        return spec.mean, spec.std
    values = _read_beside(spec, PREPROCESSOR, is_needed=False)
    if values.get("do_normalize") is False:
        return spec.mean or (0.0, 0.0, 0.0), spec.std or (1.0, 1.0, 1.0)
    mean, std = (tuple(map(float, values.get(key, HALF))) for key in ("image_mean", "image_std"))
    if len(mean) != 3 or len(std) != 3:
        raise DataError(f"{PREPROCESSOR} of `{spec.name}` is not for colour pictures: mean {mean}, std {std}")
    return spec.mean or mean, spec.std or std


def read_config(spec: HFBackbone) -> dict[str, Any]:
    """Of the recipe, or what config.json says of the model itself."""
    values = spec.config if spec.config is not None else _read_beside(spec, CONFIG, is_needed=True)
    if "architecture" in values and "model_type" not in values:
        raise RecipeError(f"`{spec.name}` is a model of timm: say kind: timm, name: {values['architecture']}, and give "
                          "the folder as pretrained")  # fmt: skip
    if not isinstance(values.get("model_type"), str):
        raise DataError(f"{CONFIG} of `{spec.name}` does not say its model_type")
    return {key: value for key, value in values.items() if key not in FOREIGN}


def local_folder(spec: HFBackbone) -> Path | None:
    """The local folder that the recipe names, if it does."""
    for place in (spec.pretrained, spec.name) if spec.pretrained not in ("hub", "none") else (spec.name,):
        path = Path(place).expanduser()
        if path.is_dir():
            return path
        if path.is_file():
            return path.parent
    return None


def _read_beside(spec: HFBackbone, file: str, *, is_needed: bool) -> dict[str, Any]:
    """A description that lies beside the weights, in a folder or on the hub; nothing where it is not needed."""
    folder = local_folder(spec)
    path = folder / file if folder else _downloaded(spec.name, file, is_needed=is_needed)
    values = read_json(path) if path else {}
    if is_needed and not values:
        raise UnavailableError(f"model.backbone: there is no {file} in {str(folder)!r}, and it says what the model is")
    return values


def _downloaded(name: str, file: str, *, is_needed: bool) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    if reason := why_not_on_hub(name, (file,)):
        if is_needed:
            raise not_here(name, reason, local="path/to/folder")
        return None
    try:
        return Path(hf_hub_download(name, file))
    except (EntryNotFoundError, LocalEntryNotFoundError):
        if not is_needed:
            return None
        raise not_here(name, f"the hub has no {file} of it", local="path/to/folder") from None
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise not_here(name, f"the hub answered: {one_line(error)}", local="path/to/folder") from None


def weights_of(spec: HFBackbone) -> Path:
    """The weight file, its configuration beside it; from the hub's cache or the hub where the name is one of its."""
    if spec.pretrained != "hub":
        return find_weights(spec.pretrained)
    if (folder := local_folder(spec)) is not None:
        return find_weights(str(folder))
    for file in ("model.safetensors", "pytorch_model.bin"):
        if path := _downloaded(spec.name, file, is_needed=False):
            return path
    raise not_here(spec.name, why_not_on_hub(spec.name) or "it has no weights in one file", local="path/to/folder")
