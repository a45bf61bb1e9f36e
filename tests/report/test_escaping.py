"""Escaped text: names may hold anything, and show as they are or as a replacement."""

import pytest

from obverse.report import Text, to_html_fragment
from obverse.report.escaping import markdown_prose, markdown_text, plain_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", r"a\|b"),
        ("a\nb", "a b"),
        ("roma_tomato 3.5-4", "roma_tomato 3.5-4"),
        ("_x_", r"\_x\_"),
        ("<b> & `c` $d$", r"&lt;b&gt; &amp; \`c\` \$d\$"),
        ("back\\|slash", r"back\\\|slash"),
        ("\x00\u202e", "��"),
    ],
)
def test_markdown_text(text, expected):
    assert markdown_text(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  two \t words\r\n", "two words"),
        ("\x1b[31mred", "�[31mred"),
        ("\udcff.jpg", "�.jpg"),
        ("\u2066a\u2069 عملة", "�a� عملة"),
        ("<b>&", "<b>&"),
    ],
)
def test_plain_text(text, expected):
    assert plain_text(text) == expected


def test_code_in_backticks_is_code_on_both_pages_and_names_stay_text():
    text = "Run `obverse train DATA`, not `<b>`"
    assert markdown_prose(text) == r"Run `obverse train DATA`, not \`&lt;b&gt;\`"
    assert "<p>Run <code>obverse train DATA</code>, not `&lt;b&gt;`</p>" in to_html_fragment([Text(text)], label="a")
