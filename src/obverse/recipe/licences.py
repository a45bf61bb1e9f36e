"""Licences of pretrained weights: what each kind permits, in words. Identifiers are those of timm and the hub."""

from __future__ import annotations

PERMISSIVE = frozenset({"apache-2.0", "bsd-3-clause", "mit"})
"""Licences that permit any use, on the condition that their text goes along."""

# Apple's licence for machine learning research and Meta's for SEER permit research alone.
RESEARCH_ONLY = frozenset({"apple-amlr", "fair-noncommercial-research-license", "seer-license"})
ATTRIBUTION = "cc-by-4.0"


def forbids_commercial_use(licence: str) -> bool:
    """Whether a licence is known to forbid commercial use."""
    return licence.startswith("cc-by-nc") or licence in RESEARCH_ONLY


def restriction(licence: str) -> str:
    """Clause on what a licence restricts; empty where it is permissive or not known."""
    if forbids_commercial_use(licence):
        return "forbids commercial use"
    if not licence or licence in PERMISSIVE:
        return ""
    return "asks to name its authors" if licence == ATTRIBUTION else "has terms of its own"


def licence_words(licence: str) -> str:
    """A licence of weights with its restriction, as text for a model card."""
    clause = restriction(licence)
    return f"{licence}{f', which {clause}' if clause else ''}; the data they were trained on may have terms"


def licence_sentence(name: str, licence: str) -> str:
    """Sentence on a restrictive licence of the weights of `name`; empty where nothing is restricted."""
    clause = restriction(licence)
    if not clause:
        return ""
    return f"licence: the weights of {name} come under {licence}, which {clause}, and so does what is trained from them"
