"""Order of the sections of a report: first what a reader decides by, last what an engineer looks up."""

from __future__ import annotations

from collections.abc import Iterable

from obverse.report import Section

ORDER = (
    "trust", "mistakes", "result", "acceptance", "risk", "classes", "confusion", "calibration", "sets", "views",
    "slices", "suspects", "maps", "map", "ways", "training", "diagnosis", "decoding", "run", "reproduce",
    "absent", "card",
)  # fmt: skip
"""Topics, first to last. A section of another topic comes before `training`."""
TITLES = {
    "Result": "result", "Calibration": "calibration", "Confusion": "confusion", "Views": "views", "Classes": "classes",
    "Where the views disagree": "views", "Where the model looks": "maps", "Ways of training": "ways",
    "Training": "training", "Diagnosis of the training": "diagnosis",
    "Answers by mode, median and mean": "decoding", "Run": "run",
}  # fmt: skip
"""Topics of sections that name none."""


def in_order(sections: Iterable[Section]) -> tuple[Section, ...]:
    """The sections by topic; those of one topic keep their order."""
    places = {topic: place for place, topic in enumerate(ORDER)}
    other = places["ways"] - 0.5
    return tuple(sorted(sections, key=lambda section: places.get(topic_of(section), other)))


def topic_of(section: Section) -> str:
    """The topic that the section names, or that its title has."""
    return section.topic or TITLES.get(section.title, "")
