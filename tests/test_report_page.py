"""The head of a page: claims with their verdict, number, interval and picture."""

import re
from dataclasses import replace

import pytest

from probe.report import Claim, Page, Picture, Section, render
from probe.stats import Interval, Verdict

JPEG = b"\xff\xd8small"


def verdict(decision="supported", statistic=0.25, low=-0.125, high=0.375):
    return Verdict(
        "claim", decision, statistic, Interval(statistic, low, high, 0.95, 20), "null", "Sentence."
    )


def page(*claims, kept=""):
    section = Section("here", "Title", ("Lead.",), (Picture("p", None, "Caption", "Alternative text"),))
    return Page("T", "S", claims, (section,), {"Seed": "0"}, kept=kept)


def rows(html):
    body = html[html.index("<tbody>") : html.index("</tbody>")]
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in body.split("</tr>")[:-1]]


@pytest.mark.parametrize("decision", ["supported", "refuted", "inconclusive"])
def test_a_verdict_is_said_in_words_with_its_number_and_interval(decision):
    html = render(page(Claim("Claimed", "Found.", "here", verdict(decision))), {"p": b"png"})
    assert rows(html) == [f"Claimed {decision} 0.25 (−0.125 to 0.375) Found."]
    assert f'<strong class="{decision}">{decision}</strong>' in html


def test_a_verdict_without_a_number_or_interval_leaves_them_out():
    nan = float("nan")
    claims = (
        Claim("A", "Found.", "here", verdict("inconclusive", nan, nan, nan)),
        Claim("B", "Found.", "here", verdict("inconclusive", 1.5, nan, nan)),
    )
    assert rows(render(page(*claims), {"p": b"png"})) == [
        "A inconclusive Found.",
        "B inconclusive 1.5 Found.",
    ]


def test_beside_verdicts_a_mere_description_says_that_it_is_one():
    claims = Claim("A", "Seen.", "here"), Claim("B", "Found.", "here", verdict())
    assert rows(render(page(*claims), {"p": b"png"}))[0] == "A described, not tested Seen."


def test_without_any_verdict_there_is_no_column_for_them():
    html = render(page(Claim("A", "Seen.", "here")), {"p": b"png"})
    assert rows(html) == ["A Seen."]
    assert "described" not in html[html.index("<body>") :]
    assert "Nothing is corrected" not in html


def test_a_claim_with_a_picture_shows_it_small_and_leads_to_it():
    shown = Claim("A", "Seen.", "here", verdict(), "p")
    html = render(
        page(shown, replace(shown, picture=None), replace(shown, statement="C")), {"p": b"png"}, {"p": JPEG}
    )
    assert html.count('href="#picture-p"') == 2
    assert 'id="picture-p"' in html
    # One picture in the style sheet, however many claims show it.
    assert html.count("data:image/jpeg;base64,") == 1
    assert re.search(r"\.thumb \.thumb-1, \.thumb \.thumb-3 \{ background-image", html)


def test_a_page_that_keeps_nothing_else_says_so_in_a_whole_sentence():
    text = " ".join(re.sub(r"<[^>]+>", "", render(page(), {"p": b"png"})).split())
    assert "every picture is in figures/." in text
    text = " ".join(
        re.sub(r"<[^>]+>", "", render(page(kept="the network in model.h5"), {"p": b"png"})).split()
    )
    assert "every picture is in figures/, and the network in model.h5." in text
