"""Network: a kind of backbone, with its constructor and its input needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from obverse.models.weights.weight_files import Framing
from obverse.recipe import WithWeights
from obverse.registry import load_file

HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class InputNeeds:
    """What a backbone requires of its input."""

    multiple: int = 1
    """Number that height and width must be multiples of."""

    mean: tuple[float, ...] = HALF
    """Mean of each channel, for pixels from 0 to 1."""

    std: tuple[float, ...] = HALF
    """Standard deviation of each channel, for pixels from 0 to 1."""

    size: tuple[int, int] | None = None
    """(height, width) that the pretrained weights were trained on, if known."""

    crop_fraction: float = 1.0
    """Fraction of the sides that a centre crop kept in the evaluation of the pretrained weights."""


class Build(Protocol):
    """From a spec to a module with `num_features` that turns (B, 3, height, width) into features (B, num_features)."""

    def __call__(self, spec: Any, /, *, height: int, width: int, load_weights: bool) -> nn.Module:
        """The backbone. load_weights: False gives random weights, for a caller that loads its own."""
        ...


def any_size(spec: Any) -> InputNeeds:
    """Default input needs, of a backbone that takes pictures of any size."""
    return InputNeeds()


def as_it_is(spec: Any) -> Any:
    """The spec, unchanged: pinning of a backbone whose spec is complete."""
    return spec


def not_known(spec: Any) -> str:
    """Default licence, of weights about which nothing is said."""
    return ""


@dataclass(frozen=True)
class Network:
    """Functions of one kind of backbone."""

    build: Build
    """Constructor from a spec."""

    input_needs: Callable[[Any], InputNeeds] = any_size
    """Input needs of a spec."""

    pinned: Callable[[Any], Any] = as_it_is
    """Function that completes a spec by everything that would be looked up, such as the weights that a name means."""

    licence: Callable[[Any], str] = not_known
    """Identifier of the licence of a spec's pretrained weights; empty where nothing says it."""


def network_of(spec: Any) -> Network:
    """The `NETWORK` of the file that the spec names."""
    network: Network = load_file("models.backbones", spec.network).NETWORK
    return network


def weights_needs(
    spec: WithWeights, multiple: int, statistics: tuple[tuple[float, ...], tuple[float, ...]], framing: Framing
) -> InputNeeds:
    """Input needs of a backbone with weights. statistics, framing: of the weights; the spec's mean and std override."""
    mean, std = statistics
    return InputNeeds(multiple, spec.mean or mean, spec.std or std, *framing)
