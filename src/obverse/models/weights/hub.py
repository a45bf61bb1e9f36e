"""Check, before a run starts, whether weights on a hub are available, with error messages that name the remedies.

Downloads are left to the libraries that publish the weights.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import getproxies, proxy_bypass

from obverse.errors import UnavailableError

HUB_TIMEOUT_SECONDS = 3
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json")


def cached(repository: str, file: str) -> Path | bool | None:
    """Path of the file in the hub's cache; False if the cache knows that the hub has no such file; None if unknown."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        entry = try_to_load_from_cache(repository, file)
    except HFValidationError:
        return None
    return Path(entry) if isinstance(entry, str) else None if entry is None else False


def is_cached(name: str) -> bool:
    """Whether the weights of a name of the catalogue lie in the hub's cache. Does not import timm."""
    return any(isinstance(cached(_repository(name), file), Path) for file in WEIGHT_FILES)


def why_unavailable(name: str) -> str | None:
    """As `why_not_on_hub`, of a name of the catalogue. Does not import timm."""
    return why_not_on_hub(_repository(name))


def _repository(name: str) -> str:
    return f"timm/{name}"


def why_not_on_hub(repository: str, files: Iterable[str] = WEIGHT_FILES) -> str | None:
    """None when one of the files is cached or the Hugging Face hub answers; otherwise the reason, as a clause."""
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        if any(isinstance(try_to_load_from_cache(repository, file), str) for file in files):
            return None
    except HFValidationError:
        return "this is neither a folder here nor a name on the hub"
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE forbids downloading"
    return why_unreachable(constants.ENDPOINT, "the hub")


def why_unreachable(url: str, what: str) -> str | None:
    """None when the host of `url`, or the proxy that the environment names for it, takes a connection."""
    host = urlparse(url)
    proxy = getproxies().get(host.scheme)
    if proxy and not proxy_bypass(host.hostname or ""):
        host = urlparse(proxy if "://" in proxy else f"http://{proxy}")
    try:
        port = host.port or (443 if host.scheme == "https" else 80)
        socket.create_connection((host.hostname or "", port), timeout=HUB_TIMEOUT_SECONDS).close()
    except OSError:
        return f"{what} cannot be reached"
    return None


def not_here(name: str, reason: object, *, local: str = "path/to/model.safetensors") -> UnavailableError:
    """Error for weights that are not available, with the ways to provide them. local: example of a local path."""
    return UnavailableError(
        f"the pretrained weights of `{name}` are not here and {reason}. Ways: connect to the network once; or put a "
        f"weight file of `{name}` on this machine and set model.backbone.pretrained={local}; or train from scratch "
        "with model.backbone.pretrained=none"
    )


def unknown_statistics(what: str, reason: str) -> UnavailableError:
    """Error for weights whose mean and std are unknown, with the ways to provide them."""
    return UnavailableError(
        f"{what}, which would say the mean and std of the weights, is not here: {reason}. Ways: put it beside the "
        "weights; connect to the network once, if they come from a hub; or set model.backbone.mean and "
        "model.backbone.std to what the weights were trained with (often [0.5, 0.5, 0.5] for both, or ImageNet's "
        "[0.485, 0.456, 0.406] and [0.229, 0.224, 0.225])"
    )
