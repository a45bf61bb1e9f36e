"""Advisory findings about shortcuts: cues besides the object that predict the label.

A probe gets only the file size, the picture's size or shape, its mean colour, or its border. A skill well above chance
means that a model may learn this cue instead: check where the pictures of each class come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from obverse.imaging import PRINT_SIDE
from obverse.manifest.sample import Finding, Sample

from .facts import Array, PictureFacts
from .probe import in_bins, skill

# Approximate limit of the samples that are probed.
MAX_SAMPLES = 20_000
# Smaller classes are left out.
LEAST_PER_CLASS = 10
# Skill as a fraction of the way from chance to certainty: from LEAST_SKILL a note is given. From STRONG_SKILL it is a
# warning, for cues that the object itself cannot explain: its colour may explain skill, the size of its file cannot.
LEAST_SKILL = 0.15
STRONG_SKILL = 0.5


def shortcut_findings(samples: Sequence[Sample], facts: PictureFacts) -> list[Finding]:
    """Findings for each view and cue whose probe has skill. facts: with details."""
    views = list(dict.fromkeys(view for sample in samples[:1000] for view in sample.views))
    return [finding for view in views for finding in _of_view(samples, facts, view, f" of {view}" if views[1:] else "")]


def _of_view(samples: Sequence[Sample], facts: PictureFacts, view: str, which: str) -> list[Finding]:
    places_N, labels_N, num_classes = _labelled(samples, facts, view)
    findings = []
    for name, (features, explains) in PROBES.items() if num_classes > 1 else ():
        features_ND = features(facts, places_N)
        if not features_ND.std(axis=0).any():
            continue
        result = skill(features_ND, labels_N, num_classes)
        if result.low - result.chance < LEAST_SKILL * (1 - result.chance):
            continue
        strong = not explains and result.low - result.chance > STRONG_SKILL * (1 - result.chance)
        threshold = result.chance + LEAST_SKILL * (1 - result.chance)
        message = (
            f"{name}{which} alone tells the class in {100 * result.accuracy:.0f} % ({100 * result.low:.0f} to "
            f"{100 * result.high:.0f} %), chance is {100 * result.chance:.1f} %: "
            "a model may learn this instead of the object"
        )
        severity = "warning" if strong else "note"
        findings.append(Finding(severity, "shortcut", message, score=result.low, threshold=threshold))
    return findings


def _labelled(samples: Sequence[Sample], facts: PictureFacts, view: str) -> tuple[Array, Array, int]:
    """Indices in the facts (N), labels (N) and number of classes, for every n-th sample; small classes are left out."""
    selected = samples[:: 1 + len(samples) // MAX_SAMPLES]
    rows = [(facts.place_of[s.views[view]], s.label) for s in selected if view in s.views]
    rows = [row for row in rows if facts.usable_N[row[0]]]
    counts = Counter(label for _, label in rows)
    names = sorted(name for name, count in counts.items() if count >= LEAST_PER_CLASS)
    number = {name: place for place, name in enumerate(names)}
    rows = [row for row in rows if row[1] in number]
    return np.array([p for p, _ in rows], np.int64), np.array([number[n] for _, n in rows], np.int64), len(names)


def _file_size(facts: PictureFacts, places_N: Array) -> Array:
    return in_bins(facts.num_bytes_N[places_N])


def _picture_size(facts: PictureFacts, places_N: Array) -> Array:
    return in_bins(facts.sizes_N2[places_N].astype(np.float64).prod(axis=1))


def _aspect(facts: PictureFacts, places_N: Array) -> Array:
    height_N, width_N = facts.sizes_N2[places_N].T.astype(np.float64)
    return in_bins(height_N / width_N)


def _mean_colour(facts: PictureFacts, places_N: Array) -> Array:
    prints_NP = facts.prints_NP[places_N]
    parts = np.split(prints_NP, [PRINT_SIDE**2, PRINT_SIDE**2 + (prints_NP.shape[1] - PRINT_SIDE**2) // 2], axis=1)
    return np.concatenate([in_bins(part.mean(axis=1)) for part in parts], axis=1)


def _border(facts: PictureFacts, places_N: Array) -> Array:
    luminance_NSS = facts.prints_NP[places_N, : PRINT_SIDE**2].reshape(-1, PRINT_SIDE, PRINT_SIDE)
    is_rim = np.ones((PRINT_SIDE, PRINT_SIDE), np.bool_)
    is_rim[1:-1, 1:-1] = False
    rim_NR = luminance_NSS[:, is_rim].astype(np.float64)
    return np.concatenate([rim_NR, in_bins(rim_NR.mean(axis=1)), in_bins(rim_NR.std(axis=1))], axis=1)


# Name of a cue -> its features, and whether the object itself can explain them.
PROBES: Mapping[str, tuple[Callable[[PictureFacts, Array], Array], bool]] = {
    "the size of the file": (_file_size, False),
    "the size of the picture": (_picture_size, False),
    "the shape of the picture (height to width)": (_aspect, False),
    "the mean colour": (_mean_colour, True),
    "the border (outer sixteenth)": (_border, True),
}
