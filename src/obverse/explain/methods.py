"""Methods of explanation by name, and the default of each family of networks."""

from __future__ import annotations

from collections.abc import Collection

from obverse.errors import RecipeError
from obverse.recipe import did_you_mean

ATTENTION, ROLLOUT, GRADIENT_ROLLOUT = "attention", "rollout", "gradient-rollout"
LAYER_CAM, GRAD_CAM, OCCLUSION = "layer-cam", "grad-cam", "occlusion"
METHODS = {
    ATTENTION: "what the last layer's class token attends to",
    ROLLOUT: "attention followed through all layers",
    GRADIENT_ROLLOUT: "attention through all layers, as far as it speaks for the class",
    LAYER_CAM: "what speaks for the class in the last fine map of a convolutional network",
    GRAD_CAM: "what speaks for the class in the network's last map",
    OCCLUSION: "what the class's odds lose when a place is covered",
}
ALL = "all"
# Methods whose map is of one class, with a scale that members of an ensemble share.
OF_CLASS = (GRADIENT_ROLLOUT, LAYER_CAM, GRAD_CAM, OCCLUSION)
NEED_GRADIENTS = (GRADIENT_ROLLOUT, LAYER_CAM, GRAD_CAM)
# The first that the network has, in the order of the pointing game of benchmarks/explain.py.
DEFAULTS_OF_ATTENTION, DEFAULTS = (GRADIENT_ROLLOUT,), (LAYER_CAM, GRAD_CAM)


def wanted_methods(names: Collection[str], available: Collection[str], *, has_attention: bool) -> tuple[str, ...]:
    """The methods to draw: the named ones, `all` that are available, or the default of the network for no names.

    A network that has no default map is explained by occlusion, which every network has.
    """
    if ALL in names:
        return tuple(name for name in METHODS if name in available)
    if names:
        return tuple(names)
    defaults = DEFAULTS_OF_ATTENTION if has_attention else DEFAULTS
    return (next((name for name in defaults if name in available), OCCLUSION),)


def require_methods(names: Collection[str]) -> None:
    """RecipeError for a name that is no method."""
    for name in names:
        if name not in (*METHODS, ALL):
            known = ", ".join((*METHODS, ALL))
            raise RecipeError(f"no method `{name}`{did_you_mean(name, (*METHODS, ALL))}; choose of {known}")
