"""The Sheldon parser and the order of grades."""

from __future__ import annotations

import pytest

from obverse.manifest import grade_order, parse_grade


@pytest.mark.parametrize(
    ("name", "number", "strike"),
    [
        ("PO1", 1, "business"),
        ("FR2", 2, "business"),
        ("AG03", 3, "business"),
        ("g04", 4, "business"),
        ("VG-8", 8, "business"),
        ("F 12", 12, "business"),
        ("vf_35", 35, "business"),
        ("XF45", 45, "business"),
        ("EF40", 40, "business"),
        ("au50", 50, "business"),
        ("AU58+", 58.5, "business"),
        ("ms65", 65, "business"),
        ("MS64+", 64.5, "business"),
        ("MS70", 70, "business"),
        ("PR65", 65, "proof"),
        ("PF08", 8, "proof"),
        ("SP66", 66, "specimen"),
    ],
)
def test_grades_are_read(name: str, number: float, strike: str) -> None:
    grade = parse_grade(name)
    assert grade is not None
    assert (grade.number, grade.strike) == (number, strike)


@pytest.mark.parametrize(
    "name",
    ["MS59", "AU59", "AU49", "G7", "XF50", "PO2", "PR0", "PR71", "MS70+", "MS65++", "MS", "65", "QQ65", "MS655", "",
     "XF45 details", "XF details", "cleaned", "damaged", "cat", "MS65a"],
)  # fmt: skip
def test_what_does_not_fit_the_scale_is_no_grade(name: str) -> None:
    assert parse_grade(name) is None


def test_order_is_by_number_and_not_by_alphabet() -> None:
    assert grade_order(("au50", "g04", "ms65", "ms65+", "vf20")) == ("g04", "vf20", "au50", "ms65", "ms65+")


@pytest.mark.parametrize(
    "names",
    [("PR65", "MS65"), ("MS65", "MS65 details"), ("MS65", "cat"), ("1", "2", "10"), ("XF40", "EF40"), ("MS60", "SP61")],
)
def test_names_without_one_common_scale_have_no_order(names: tuple[str, ...]) -> None:
    assert grade_order(names) is None


def test_proofs_alone_have_an_order() -> None:
    assert grade_order(("PR70", "PF63", "PR65")) == ("PF63", "PR65", "PR70")
