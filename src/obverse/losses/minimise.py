"""L-BFGS for many smooth convex functions at once (Nocedal & Wright 2006, algorithms 7.4 and 7.5).

Each function has its own step length and stops by itself. Functions that have stopped are no longer evaluated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

Objective = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Function from points (P, M) and the indices (P) of the functions to values (P) and gradients (P, M)."""

SUFFICIENT = 1e-4
"""Share of the predicted decrease that a step must reach (Armijo's rule)."""

MOST_HALVINGS = 30

HISTORY = 10
"""Steps from which curvature is estimated."""


@dataclass
class _Curvature:
    """The latest steps and changes of the gradient, from which the inverse Hessian is estimated."""

    steps: list[torch.Tensor] = field(default_factory=list)
    changes: list[torch.Tensor] = field(default_factory=list)
    inverses: list[torch.Tensor] = field(default_factory=list)

    def add(self, step_PM: torch.Tensor, change_PM: torch.Tensor) -> None:
        """Add a pair; it has no effect for functions along whose step rounding hides the curvature."""
        product_P = (step_PM * change_PM).sum(1)
        is_sound_P = product_P > 1e-12 * change_PM.square().sum(1)
        inverse_P = torch.where(is_sound_P, 1 / product_P, 0.0)
        for known, new in ((self.steps, step_PM), (self.changes, change_PM), (self.inverses, inverse_P)):
            known.append(new)
            del known[:-HISTORY]

    def direction(self, gradient_PM: torch.Tensor) -> torch.Tensor:
        """The inverse Hessian's estimate times the negative gradient (the two-loop recursion)."""
        direction_PM, factors = -gradient_PM, []
        pairs = list(zip(self.steps, self.changes, self.inverses, strict=True))
        for step_PM, change_PM, inverse_P in reversed(pairs):
            factor_P1 = (inverse_P * (step_PM * direction_PM).sum(1))[:, None]
            direction_PM = direction_PM - factor_P1 * change_PM
            factors.append(factor_P1)
        if pairs:
            direction_PM = direction_PM * self._scale()[:, None]
        for (step_PM, change_PM, inverse_P), factor_P1 in zip(pairs, reversed(factors), strict=True):
            back_P1 = (inverse_P * (change_PM * direction_PM).sum(1))[:, None]
            direction_PM = direction_PM + (factor_P1 - back_P1) * step_PM
        return direction_PM

    def _scale(self) -> torch.Tensor:
        """Size of the inverse Hessian along the latest step; 1 where it is not known."""
        inverse_P = self.inverses[-1]
        squares_P = self.changes[-1].square().sum(1)
        return torch.where(inverse_P > 0, 1 / (inverse_P * squares_P), 1.0)

    def keep(self, kept_P: torch.Tensor) -> None:
        """Keep only some functions."""
        for known in (self.steps, self.changes, self.inverses):
            known[:] = [rows[kept_P] for rows in known]


def minimise(objective: Objective, start_PM: torch.Tensor, *, max_steps: int, tolerance: float) -> torch.Tensor:
    """The minimum (P, M) of each function, or where it stands after `max_steps`.

    tolerance: largest entry of the gradient at which a function stops.
    """
    result_PM, rows_P = start_PM.clone(), torch.arange(len(start_PM), device=start_PM.device)
    points_PM, curvature = start_PM, _Curvature()
    values_P, gradients_PM = objective(points_PM, rows_P)
    # The first step has the length 1 at most, because nothing is known of the curvature.
    lengths_P = 1 / gradients_PM.norm(dim=1).clamp(min=1)
    for _ in range(max_steps):
        is_open_P = gradients_PM.abs().amax(1) > tolerance
        if not is_open_P.all():
            result_PM[rows_P] = points_PM
            curvature.keep(is_open_P)
            rows_P, points_PM, lengths_P = rows_P[is_open_P], points_PM[is_open_P], lengths_P[is_open_P]
            values_P, gradients_PM = values_P[is_open_P], gradients_PM[is_open_P]
        if not len(rows_P):
            return result_PM
        direction_PM = curvature.direction(gradients_PM)
        here = (values_P, gradients_PM)
        steps_PM, values_P, new_PM = _search(objective, rows_P, points_PM, here, direction_PM * lengths_P[:, None])
        curvature.add(steps_PM, new_PM - gradients_PM)
        points_PM, gradients_PM, lengths_P = points_PM + steps_PM, new_PM, torch.ones_like(lengths_P)
    result_PM[rows_P] = points_PM
    return result_PM


def _search(
    objective: Objective,
    rows_P: torch.Tensor,
    points_PM: torch.Tensor,
    here: tuple[torch.Tensor, torch.Tensor],
    steps_PM: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Steps, halved until each decreases its function enough, with the values and gradients behind them.

    here: values and gradients at `points_PM`.
    """
    values_P, gradients_PM = here
    slopes_P = (gradients_PM * steps_PM).sum(1)
    # Near the minimum rounding is larger than the decrease.
    rounding_P = 1e-14 * values_P.abs()
    for _ in range(MOST_HALVINGS):
        new_values_P, new_gradients_PM = objective(points_PM + steps_PM, rows_P)
        is_enough_P = new_values_P <= values_P + SUFFICIENT * slopes_P + rounding_P
        if is_enough_P.all():
            break
        factor_P = torch.where(is_enough_P, 1.0, 0.5)
        steps_PM, slopes_P = steps_PM * factor_P[:, None], slopes_P * factor_P
    # Where no step decreases the function, rounding hides the rest: it stops here, as if its gradient were 0.
    is_enough_P1 = is_enough_P[:, None]
    steps_PM, new_gradients_PM = (
        torch.where(is_enough_P1, steps_PM, 0.0),
        torch.where(is_enough_P1, new_gradients_PM, 0.0),
    )
    return steps_PM, torch.where(is_enough_P, new_values_P, values_P), new_gradients_PM
