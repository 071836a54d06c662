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
from probe.stats import Agreement, Interval


def verdict(decision="supported", statistic=0.25, low=-0.125, high=0.375, **fields):
    interval = Interval(statistic, low, high, 0.95, 20)
    return planted.verdict(decision, interval, title="claim", sentence="Sentence.", **fields)


def primary(statement="Claimed", judged=None, minute="14:44", **fields):
    return Claim(statement, "Found.", "here", judged, said="the words", minute=minute, **fields)


@cache
def noise():
    return planted.noise(("a", "b"))


@pytest.fixture
def page(monkeypatch):
    """Return a function that makes a page of hand-made claims and one section with a template of its own."""

    def made(*claims, kept="", source="", title="T", subtitle="S", origin=None, **facts):
        text = "{% set title = 'Title' %}" + source
        own = words._environment().from_string(text)
        monkeypatch.setattr(
            rendering, "template", lambda name: own if name == "here" else words.template(name)
        )
        section = Section(key="here", facts={"noise": noise(), **facts})
        report = Report(title=title, subtitle=subtitle, sections=(section,), kept=kept)
        (done,) = report.rendered().sections
        done = replace(done, claims=(*claims, *done.claims))
        return Rendered(report, (done,)).html({"Seed": "0"} if origin is None else origin)

    return made


PICTURE = '{% call picture("p", noise, alt="Alternative text") %}Caption{% endcall %}'


def rows(html):
    body = html[html.index("<tbody>") : html.index("</tbody>")]
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in body.split("</tr>")[:-1]]


@pytest.mark.parametrize("decision", ["supported", "refuted", "inconclusive"])
def test_a_primary_verdict_has_a_badge_the_videos_words_and_its_interval(decision, page):
    html = page(primary(judged=verdict(decision)))
    assert rows(html) == [f"Claimed “the words” (14:44) {decision} 0.25 (−0.125 to 0.375, 20 units) Found."]
    assert f'<strong class="{decision}">{decision}</strong>' in html
    assert "exploratory" not in html


@pytest.mark.parametrize("decision", ["supported", "refuted", "inconclusive"])
def test_an_exploratory_verdict_has_no_badge(decision, page):
    html = page(Claim("Claimed", "Found.", "here", verdict(decision)))
    assert rows(html) == [f"Claimed 0.25 (−0.125 to 0.375, 20 units) {decision} Found."]
    assert "<strong" not in html
    assert "Exploratory: the video does not say this" in html


def test_beside_primary_claims_others_are_folded(page):
    html = page(Claim("Other", "Found.", "here", verdict()), primary(judged=verdict()))
    assert html.index("Claimed") < html.index("<details") < html.index("Other")
    assert "<summary>1 more finding, exploratory</summary>" in html


def test_primary_claims_stand_in_the_order_of_the_video(page):
    html = page(
        *(primary(f"at {minute}", verdict(), minute) for minute in ("14:44", "7:39", "13:22", "7:05"))
    )
    assert [row.split(" “")[0] for row in rows(html)] == ["at 7:05", "at 7:39", "at 13:22", "at 14:44"]


def test_what_the_correction_takes_away_is_inconclusive_and_says_so(page):
    """0.04 alone decides; of three claims Holm leaves it only if the others are no smaller than 0.04."""
    weak, strong = verdict("refuted", p_value=0.04), verdict(p_value=0.001)
    html = page(primary("A", weak), primary("B", weak), primary("C", strong))
    assert [re.search("supported|refuted|inconclusive", row)[0] for row in rows(html)] == [
        "inconclusive",
        "inconclusive",
        "supported",
    ]
    assert "By itself this is refuted; after the correction for 3 claims it is not (p = 0.08)." in " ".join(
        html.split()
    )
    assert "refuted</strong>" in page(primary("A", weak), primary("C", strong))


def test_exploratory_verdicts_do_not_count_in_the_correction(page):
    others = [Claim(f"other {k}", "Found.", "here", verdict(p_value=0.04)) for k in range(5)]
    html = page(primary("A", verdict("refuted", p_value=0.04)), *others)
    assert '<strong class="refuted">refuted</strong>' in html


def test_networks_trained_like_it_stand_beside_the_verdict(page):
    agreement = Agreement(
        decision="supported", decisions=("refuted",) * 11 + ("supported",), statistics=(0.1,) * 12
    )
    text = " ".join(page(primary(judged=verdict(agreement=agreement))).split())
    assert (
        "Found. This network is unusual: 1 of 12 networks trained like it get the same answer (0% to 38%)."
        in text
    )


def test_shares_are_said_in_per_cent(page):
    (row,) = rows(page(primary(judged=verdict(statistic=0.25, low=0.07, high=0.52, unit="share"))))
    assert "supported 25% (7% to 52%, 20 units)" in row


def test_a_verdict_without_a_number_or_interval_leaves_them_out(page):
    nan = float("nan")
    claims = (
        primary("A", verdict("inconclusive", nan, nan, nan, p_value=nan)),
        primary("B", verdict("inconclusive", 1.5, nan, nan)),
    )
    assert rows(page(*claims)) == [
        "A “the words” (14:44) inconclusive Found.",
        "B “the words” (14:44) inconclusive 1.5 Found.",
    ]


def test_a_mere_description_says_that_it_is_one(page):
    assert rows(page(primary("A"))) == ["A “the words” (14:44) described, not tested Found."]
    assert "Holm" not in page(primary("A"))


def test_a_claim_with_a_picture_shows_it_small_and_leads_to_it(page):
    shown = primary("A", verdict(), picture="p")
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
        origin={name: name},
    )
    html.encode()
    body = html[html.index("<body>") :]
    quoted = f"Layer &#39;<bdi>{shown}</bdi>&#39; is the network&#39;s first."
    # Title, subtitle, claim and finding, both paragraphs, both captions.
    assert body.count(quoted) == 7
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
