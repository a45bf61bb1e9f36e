"""Coin grades on the Sheldon scale, and the class order that they give.

Sheldon (1949): 1 to 70, with the prefixes of today's grading services. Alphabetical order (AU50 < G04 < MS65) is not
grade order, so the order comes from the number, and only when every class name is a grade.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# prefix: (lowest, highest number), after the grading services' published scales
PREFIXES = {
    "PO": (1, 1),
    "FR": (2, 2),
    "AG": (3, 3),
    "G": (4, 6),
    "VG": (7, 10),
    "F": (11, 15),
    "VF": (20, 35),
    "XF": (40, 45),
    "EF": (40, 45),
    "AU": (50, 58),
    "MS": (60, 70),
}  # fmt: skip
STRIKES = {"PR": "proof", "PF": "proof", "SP": "specimen"}
OFF_SCALE = ("details", "detail", "cleaned", "damaged")
_GRADE = re.compile(r"([A-Z]{1,2})[\s_-]?(\d{1,2})(\+?)")


@dataclass(frozen=True, slots=True)
class Grade:
    """A Sheldon grade."""

    number: float
    """1 to 70, with half a point more for `+`."""

    strike: str
    """business, proof or specimen."""


def parse_grade(name: str) -> Grade | None:
    """The Sheldon grade that a class name is; None if the name is no grade or its number does not fit its prefix."""
    match = _GRADE.fullmatch(name.strip().upper())
    if match is None:
        return None
    prefix, number, plus = match[1], int(match[2]), match[3]
    strike = STRIKES.get(prefix, "business")
    lowest, highest = (1, 70) if prefix in STRIKES else PREFIXES.get(prefix, (1, 0))
    if not lowest <= number <= highest or (plus and number == 70):
        return None
    return Grade(number + (0.5 if plus else 0.0), strike)


def is_off_scale(name: str) -> bool:
    """Whether a class name describes a coin that has no place on the scale (`XF details`, `cleaned`)."""
    return any(word in OFF_SCALE for word in re.split(r"[\s_-]+", name.lower()))


def mostly_grades(names: tuple[str, ...]) -> bool:
    """Whether most class names are coin grades, including those of several strikes or off the scale."""
    num_graded = sum(parse_grade(name) is not None for name in names)
    return num_graded > 0 and 2 * (num_graded + sum(map(is_off_scale, names))) > len(names)


def grade_order(names: tuple[str, ...]) -> tuple[str, ...] | None:
    """The names from worst to best when every one parses and all share one strike; otherwise None.

    Proof and business strikes are judged by different rules: PR65 and MS65 have no common order (docs/adr/0005).
    """
    grades = [(parse_grade(name), name) for name in names]
    parsed = [(grade, name) for grade, name in grades if grade is not None]
    if len(parsed) < len(names) or len({grade.strike for grade, _ in parsed}) > 1:
        return None
    if len({grade.number for grade, _ in parsed}) < len(parsed):
        return None
    return tuple(name for _, name in sorted(parsed, key=lambda pair: pair[0].number))
