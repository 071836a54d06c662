"""The head of a page: claims with their verdict, number, interval and picture."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from functools import cache

import numpy as np
import planted
import pytest
from markupsafe import Markup

from probe.catalogue import ANALYSES
from probe.pages import CHAPTERS, Claim, Rendered, Report, Section
from probe.pages import _words as words
from probe.pages import report as rendering
from probe.pages import section as sections
from probe.pages._words import isolated
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

    def made(
        *claims,
        kept="",
        source="",
        title="T",
        subtitle="S",
        origin=None,
        chapters=(),
        live=None,
        index="",
        **facts,
    ):
        text = "{% set title = 'Title' %}" + source
        own = words._environment().from_string(text)
        monkeypatch.setattr(
            sections, "template", lambda name: own if name == "here" else words.template(name)
        )
        section = Section(key="here", facts={"noise": noise(), **facts})
        report = Report(
            title=title,
            subtitle=subtitle,
            sections=(section,),
            kept=kept,
            chapters=chapters,
            live=live or {},
            index=index,
        )
        (done,) = report.rendered().sections
        done = replace(done, claims=(*claims, *done.claims))
        return Rendered(report, (done,)).html({"Seed": "0"} if origin is None else origin)

    return made


PICTURE = '{% call picture("p", noise, alt="Alternative text") %}Caption{% endcall %}'


def plain(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def rows(html):
    """Return the claims in the head: statement, badge and number, and what is behind each."""
    return [plain(claim) for claim in re.findall(r'<details class="claim".*?</details>', html, re.S)]


def answers(html):
    return [plain(found) for found in re.findall(r'<p class="answer">.*?</p>', html, re.S)]


def findings(html):
    return [
        plain(found)
        for listed in re.findall(r'<ul class="findings">(.*?)</ul>', html, re.S)
        for found in re.findall("<li>.*?</li>", listed, re.S)
    ]


@pytest.mark.parametrize("decision", ["supported", "refuted", "inconclusive"])
def test_a_primary_verdict_has_a_badge_the_videos_words_and_its_interval(decision, page):
    html = page(primary(judged=verdict(decision)))
    number = "0.25 (−0.125 to 0.375, 20 units)"
    assert rows(html) == [f"Claimed {decision} {number} Video, 14:44: “the words”. Found. Evidence"]
    assert answers(html) == [f"Claimed : {decision} {number}"]
    assert f'<strong class="{decision}">{decision}</strong>' in html
    assert findings(html) == []


@pytest.mark.parametrize("decision", ["supported", "refuted", "inconclusive"])
def test_an_exploratory_verdict_has_no_badge_and_stands_in_its_chapter(decision, page):
    html = page(Claim("Claimed", "Found.", "here", verdict(decision)))
    assert rows(html) == []
    assert findings(html) == [f"Claimed : {decision} 0.25 (−0.125 to 0.375, 20 units) . Found."]
    assert answers(html) == [f"Claimed : {decision} 0.25 (−0.125 to 0.375, 20 units)"]
    assert "<strong" not in html
    assert "Exploratory:" in html


def test_beside_primary_claims_others_are_folded(page):
    html = page(Claim("Other", "Found.", "here", verdict()), primary(judged=verdict()))
    assert html.index("Claimed") < html.index('<details class="how" open>') < html.index("Other")
    assert answers(html)[0].startswith("Claimed")


def test_primary_claims_stand_in_the_order_of_the_video(page):
    html = page(
        *(primary(f"at {minute}", verdict(), minute) for minute in ("14:44", "7:39", "13:22", "7:05"))
    )
    assert [row.split(" supported")[0] for row in rows(html)] == [
        "at 7:05",
        "at 7:39",
        "at 13:22",
        "at 14:44",
    ]


def test_the_head_has_twelve_claims_at_most(page):
    assert len(rows(page(*(primary(f"claim {k}", verdict()) for k in range(15))))) == 12


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
    assert "supported 25% (7–52%, 20 units)" in row


def test_a_share_that_is_rounded_to_nothing_has_no_sign(page):
    (row,) = rows(page(primary(judged=verdict(statistic=-0.0003, low=-0.013, high=0.012, unit="share"))))
    assert "supported 0% (−1% to 1%, 20 units)" in row


def test_a_verdict_without_a_number_or_interval_leaves_them_out(page):
    nan = float("nan")
    claims = (
        primary("A", verdict("inconclusive", nan, nan, nan, p_value=nan)),
        primary("B", verdict("inconclusive", 1.5, nan, nan)),
    )
    assert [row.partition(" Video")[0] for row in rows(page(*claims))] == [
        "A inconclusive",
        "B inconclusive 1.5",
    ]


def test_a_mere_description_says_that_it_is_one(page):
    html = page(primary("A"))
    assert rows(html) == ["A described, not tested Video, 14:44: “the words”. Found. Evidence"]
    assert "Holm" not in html


def test_a_page_without_claims_says_that_nothing_is_tested(page):
    assert answers(page()) == ["Shown here, not tested."]


def test_a_claim_leads_to_its_section_and_its_picture_stands_for_the_chapter(page):
    html = page(primary("A", verdict(), picture="p"), source=PICTURE)
    assert '<a href="#here">Evidence</a>' in html
    assert '<section class="part" id="here">' in html
    assert html.count("data:image/png;base64,") == 1
    assert html.index('<figure class="still" id="picture-p">') < html.index('<details class="how" open>')


@pytest.mark.parametrize("name", ["p", '<b>&"', "../../x", "שלום"])
def test_a_picture_of_any_name_is_shown_once(name, page):
    source = PICTURE.replace('"p"', "name")
    html = page(Claim("A", "Found.", "here", picture=name), source=source, name=name)
    assert html.count("data:image/png;base64,") == html.count('<figure class="still"') == 1
    assert "data-picture" not in html


def test_a_page_that_keeps_nothing_else_says_so_in_a_whole_sentence(page):
    kept = "the network in model.h5"
    assert "results.json beside this page." in plain(page())
    assert "results.json beside this page, and the network in model.h5." in plain(page(kept=kept))
    assert "beside this page, every picture is in figures/ ." in plain(page(source=PICTURE))
    both = plain(page(source=PICTURE, kept=kept))
    assert "every picture is in figures/ , and the network in model.h5." in both


def test_the_index_that_a_page_is_in_is_linked_where_there_is_one(page):
    assert '<nav><a href="../index.html">All reports</a></nav>' in page(index="../index.html")
    assert "<nav>" not in page()


def policy(html):
    (found,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    return dict(rule.strip().split(" ", 1) for rule in found.split(";"))


def digest(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


ALLOWED = {
    "default-src": "'none'",
    "img-src": "data: blob:",
    "base-uri": "'none'",
    "form-action": "'none'",
}


@pytest.mark.parametrize("picture", ["p", None])
def test_a_page_allows_its_own_style_and_pictures_and_nothing_else(picture, page):
    html = page(Claim("A", "Found.", "here", picture=picture), source=PICTURE)
    (style,) = re.findall(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    assert policy(html) == ALLOWED | {"style-src": digest(style)}
    # The policy stands before everything that it is about.
    assert html.index("Content-Security-Policy") < html.index("<style>")
    assert "&" not in style
    # Nothing on the page needs more than that.
    assert not re.findall(r"<script|<link|<iframe|\son\w+=|\sstyle=|javascript:", html)
    assert set(re.findall(r'(?:src|href)="([^"]{5})', html)) <= {"data:", "#here", "#pict"}


def test_a_page_with_live_data_allows_the_one_script_that_it_has(page, monkeypatch):
    """What the data say cannot end the element that they are in, and is what Python had."""
    script, style = 'const a = "<b>" && 1;', "p > b { color: red; }"
    monkeypatch.setattr(rendering, "live_script", lambda: Markup(script))
    monkeypatch.setattr(rendering, "live_style", lambda: Markup(style))
    live = {"name": "</script><script>alert(1)</script> \u202e <!--", "cost": float("nan"), "n": np.int64(3)}
    html = page(live=live, chapters=CHAPTERS)
    assert policy(html) == ALLOWED | {"style-src": digest(style), "script-src": digest(script)}
    assert f"<style>{style}</style>" in html
    data, own = re.findall(r"<script([^>]*)>(.*?)</script>", html, flags=re.DOTALL)
    assert data[0] == ' type="application/json" id="probe-data"'
    assert json.loads(data[1]) == live | {"cost": None}
    assert own == (' type="module"', script)
    assert '<div id="living" hidden></div>' in html
    assert "\u202e" not in html


def test_a_whole_report_has_all_chapters_and_names_what_runs_those_that_were_not_run(page):
    html = page(primary("A", verdict()), chapters=CHAPTERS)
    found = re.findall(r'<section class="chapter" id="chapter-([a-z]+)"', html)
    assert found == [*(chapter.key for chapter in CHAPTERS), "here"]
    assert len(answers(html)) == len(found)
    assert answers(html)[:-1] == ["Not run here."] * len(CHAPTERS)
    for command in ("probe landscape MODEL", "probe drawing MODEL", "probe memorize", "probe minima"):
        assert f"<code>{command}</code>" in html
    # All that is known of it is folded, and stands open on the page of a command.
    assert '<details class="how">' in html and '<details class="how" open>' in page()
    # There is nothing to play with where nothing was found.
    assert "data-play" not in html


def test_every_section_of_an_analysis_has_its_chapter_and_no_other():
    keys = [key for chapter in CHAPTERS for key in chapter.sections]
    assert len(keys) == len(set(keys))
    known = {key for entry in ANALYSES for key in entry.sections or {entry.key: ""}}
    assert known - set(keys) <= {"search", "robustness", "verification", "unit", "comparison"}
    for chapter in CHAPTERS:
        # Where nothing is judged, there is nothing to answer.
        judged = {"supported", "refuted", "inconclusive"} if chapter.claims else set()
        assert chapter.answers.keys() == judged


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
    # Title, subtitle, answer, claim and what was found, both paragraphs, both captions.
    assert body.count(quoted) == 8
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
