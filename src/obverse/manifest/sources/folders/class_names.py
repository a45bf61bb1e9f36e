"""Normalisation of class names to one Unicode form (NFC)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from obverse.manifest.names import composed
from obverse.manifest.sample import Finding, Sample
from obverse.manifest.samples import Samples


def in_one_form(samples: Sequence[Sample]) -> tuple[Samples, list[Finding]]:
    """The samples with composed (NFC) labels, and a warning for the classes that had several forms."""
    samples = Samples.of(samples)
    names = dict.fromkeys(samples.labels)
    if all(name.isascii() for name in names):
        return samples, []
    labels = {name: composed(name) for name in names}
    return replace(samples, labels=tuple(map(labels.__getitem__, samples.labels))), forms_joined(names)


def forms_joined(names: Iterable[str]) -> list[Finding]:
    """A warning for names that are one name in different Unicode forms."""
    forms: dict[str, set[str]] = defaultdict(set)
    for name in names:
        if not name.isascii():
            forms[composed(name)].add(name)
    joined = sorted(name for name, spellings in forms.items() if len(spellings) > 1)
    if not joined:
        return []
    examples = ", ".join(map(repr, joined[:5])) + (" ..." if len(joined) > 5 else "")
    message = f"names in several Unicode forms (macOS decomposes accents) are taken as one: {examples}"
    return [Finding("warning", "unicode-forms", message)]
