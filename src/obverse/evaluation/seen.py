"""Use of the evaluated samples before the evaluation: for training, or for choices such as the best epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Seen:
    """How the evaluated samples were used before. By default, they are new to the model."""

    chosen: tuple[str, ...] = ()
    """What was chosen on these samples: the best epoch, the prior, the thresholds."""

    num_trained: int = 0
    """Number of samples that the model was trained on."""

    num_chosen: int = 0
    """Number of samples that are in the val split that chose the best epoch."""

    is_unknown: bool = False
    """Whether the model's training samples are not known, because its bundle came without the run."""

    findings: tuple[str, ...] = ()
    """Findings about the data that endanger the numbers, such as copies across splits."""

    def as_json(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return {**asdict(self), "chosen": list(self.chosen), "findings": list(self.findings)}

    def sentences(self, num_samples: int) -> Iterator[str]:
        """Yield warnings for the reader of the metrics."""
        if self.chosen:
            yield (
                f"This split chose {_listed(self.chosen)}, so the numbers are a little kind; "
                "judge by a split that chose nothing."
            )
        if self.num_trained:
            yield (
                f"{self.num_trained} of {num_samples} were trained on: the model has seen these very pictures with "
                "their labels, so the numbers say little about new ones."
            )
        if self.num_chosen:
            yield f"{self.num_chosen} of {num_samples} are in the val split that chose the best epoch."
        if self.is_unknown:
            yield "A bundle does not know what it was trained on: whether these samples are new to it cannot be told."
        for finding in self.findings:
            yield f"Found in the data: {finding}."


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
