"""The head of a page: claims with their verdict, number, interval and picture."""

import base64
import hashlib
import re
from dataclasses import replace
from functools import cache

import planted
import pytest

from probe.report import Claim, Rendered, Report, Section
from probe.report import _words as words
from probe.report import report as rendering
from probe.report._words import isolated
from probe.stats import Interval


def verdict(decision="supported", statistic=0.25, low=-0.125, high=0.375):
    return planted.verdict(
        decision, Interval(statistic, low, high, 0.95, 20), title="claim", sentence="Sentence."
    )


@cache
def noise():
    return planted.noise(("a", "b"))


@pytest.fixture
def page(monkeypatch):
    """Return a function that makes a page of hand-made claims and one section with a template of its own."""

    def made(*claims, kept="", source="", title="T", subtitle="S", heads=("H", "F"), origin=None, **facts):
        text = "{% set title = 'Title' %}" + source
        own = words._environment().from_string(text)
        monkeypatch.setattr(
            rendering, "template", lambda name: own if name == "here" else words.template(name)
        )
        section = Section(key="here", facts={"noise": noise(), **facts})
        report = Report(title=title, subtitle=subtitle, sections=(section,), kept=kept, heads=heads)
        (done,) = report.rendered().sections
        done = replace(done, claims=(*claims, *done.claims))
        return Rendered(report, (done,)).html({"Seed": "0"} if origin is None else origin)

    return made


PICTURE = '{% call picture("p", noise, alt="Alternative text") %}Caption{% endcall %}'


def rows(html):
    body = html[html.index("<tbody>") : html.index("</tbody>")]
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in body.split("</tr>")[:-1]]


@pytest.mark.parametrize("decision", ["supported", "refuted", "inconclusive"])
def test_a_verdict_is_said_in_words_with_its_number_and_interval(decision, page):
    html = page(Claim("Claimed", "Found.", "here", verdict(decision)))
    assert rows(html) == [f"Claimed {decision} 0.25 (−0.125 to 0.375) Found."]
    assert f'<strong class="{decision}">{decision}</strong>' in html


def test_a_verdict_without_a_number_or_interval_leaves_them_out(page):
    nan = float("nan")
    claims = (
        Claim("A", "Found.", "here", verdict("inconclusive", nan, nan, nan)),
        Claim("B", "Found.", "here", verdict("inconclusive", 1.5, nan, nan)),
    )
    assert rows(page(*claims)) == [
        "A inconclusive Found.",
        "B inconclusive 1.5 Found.",
    ]


def test_beside_verdicts_a_mere_description_says_that_it_is_one(page):
    claims = Claim("A", "Seen.", "here"), Claim("B", "Found.", "here", verdict())
    assert rows(page(*claims))[0] == "A described, not tested Seen."


def test_without_any_verdict_there_is_no_column_for_them(page):
    html = page(Claim("A", "Seen.", "here"))
    assert rows(html) == ["A Seen."]
    assert "described" not in html[html.index("<body>") :]
    assert "Nothing is corrected" not in html


def test_a_claim_with_a_picture_shows_it_small_and_leads_to_it(page):
    shown = Claim("A", "Seen.", "here", verdict(), "p")
    claims = shown, replace(shown, picture=None), replace(shown, statement="C")
    html = page(*claims, source=PICTURE)
    assert html.count('href="#picture-p"') == 2
    assert 'id="picture-p"' in html
    # One picture in the style sheet, however many claims show it.
    assert html.count("data:image/jpeg;base64,") == 1
    assert re.search(r"\.thumb \.thumb-1, \.thumb \.thumb-3 \{ background-image", html)


def test_a_page_that_keeps_nothing_else_says_so_in_a_whole_sentence(page):
    text = " ".join(re.sub(r"<[^>]+>", "", page()).split())
    assert "every picture is in figures/." in text
    text = " ".join(re.sub(r"<[^>]+>", "", page(kept="the network in model.h5")).split())
    assert "every picture is in figures/, and the network in model.h5." in text


def policy(html):
    (found,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    return dict(rule.strip().split(" ", 1) for rule in found.split(";"))


@pytest.mark.parametrize("picture", ["p", None])
def test_a_page_allows_its_own_style_and_pictures_and_nothing_else(picture, page):
    html = page(Claim("A", "Found.", "here", picture=picture), source=PICTURE)
    rules = policy(html)
    (style,) = re.findall(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    # The policy stands before everything that it is about.
    assert html.index("Content-Security-Policy") < html.index("<style>")
    assert "&" not in style
    # Nothing on the page needs more than that.
    assert not re.findall(r"<script|<link|<iframe|\son\w+=|\sstyle=|javascript:", html)
    assert set(re.findall(r'(?:src|href)="([^"]{5})', html)) <= {"data:", "#here", "#pict"}


NAMES = {
    "plain": "plain",
    "<script>alert(1)</script>": "&lt;script&gt;alert(1)&lt;/script&gt;",
    "שלום": "שלום",
    "a שלום 12": "a שלום 12",
    "\u202eturned\u2066": "\\u202eturned\\u2066",
    "\x1b[31mred": "\\x1b[31mred",
    '"><b>': "&#34;&gt;&lt;b&gt;",
}


@pytest.mark.parametrize(("name", "shown"), NAMES.items())
def test_names_are_isolated_and_visible_wherever_they_stand(name, shown, page):
    sentence = f"Layer '{name}' is the network's first."
    source = """
        {% call claim(sentence) %}{{ sentence }}{% endcall %}
        <p>{{ sentence }}</p>
        <p>Layer {{ name | name }} is the network&#39;s first.</p>
        {% call picture("p", noise, alt=sentence) %}{{ sentence }}{% endcall %}
        {% call table(sentence) %}{{ head(name, name) }}{{ row(name, [name]) }}{% endcall %}
    """
    html = page(
        source=source,
        sentence=sentence,
        name=name,
        title=sentence,
        subtitle=sentence,
        heads=(sentence, sentence),
        origin={name: name},
    )
    html.encode()
    body = html[html.index("<body>") :]
    quoted = f"Layer &#39;<bdi>{shown}</bdi>&#39; is the network&#39;s first."
    # Title, subtitle, heads, claim and finding, both paragraphs, both captions.
    assert body.count(quoted) == 9
    assert body.count(f"Layer '<bdi>{shown}</bdi>' is the network") == 1
    # The cells of the table, and the term and what it says at the foot.
    assert len(re.findall(f"<t[hd][^>]*><bdi>{re.escape(shown)}</bdi></t[hd]>", body)) == 4
    assert f"<dt><bdi>{shown}</bdi></dt><dd><bdi>{shown}</bdi></dd>" in body
    assert f'alt="Layer &#39;{shown}&#39; is the network&#39;s first."' in body
    assert not set(html) & set("\u202e\u2066\x1b\ud800")


def test_words_read_from_the_right_are_isolated_outside_of_quotation_marks():
    html = str(isolated("The classes are שלום עולם (40), cat and مرحبا!"))
    assert html == "The classes are <bdi>שלום עולם</bdi> (40), cat and <bdi>مرحبا</bdi>!"
    assert str(isolated("all units' weights in the networks' layers")) == (
        "all units&#39; weights in the networks&#39; layers"
    )
