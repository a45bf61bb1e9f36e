"""What test-time augmentation gains and costs, in lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obverse.experiment import Augmented

# Metrics of either kind of answer, in the words of `obverse evaluate`.
NAMES = {"accuracy": "accuracy", "subset_accuracy": "subset accuracy", "loss": "log loss"}


def augmentation_lines(measured: Augmented) -> list[str]:
    """A line for each metric with its paired test, for the cost, and for what calibration then means."""
    from obverse.evaluation import differences, discordant
    from obverse.metrics import p_value_words

    plain, mirrored = measured.plain.labelled(), measured.mirrored.labelled()
    before, after = (float(side.is_right_N.mean()) for side in (plain, mirrored))
    lost, gained = discordant(plain, mirrored)
    lines = [
        f"{len(plain.ids):,} samples of {plain.split}, without and with the mean over mirror images",
        f"right answers {before:.4f} and {after:.4f}: {gained:,} gained, {lost:,} lost",
    ]
    for name, each in differences([plain], [mirrored]).items():
        if name in NAMES:
            interval = f"95 % interval {each.low:+z.4f} to {each.high:+z.4f}"
            lines.append(f"{NAMES[name]} {each.value:+z.4f} ({interval}, p {p_value_words(each.p_value)}, {each.test})")
    one, two = (1000 * seconds for seconds in measured.seconds)
    lines.append(f"{one:.2f} and {two:.2f} ms per sample, {two / one:.2f} times, decoding left out")
    if measured.plain.uncalibrated_NK is not None:
        lines.append("the calibration was fitted on val without augmentation, and is used as it is for both")
    return lines
