"""Drawings in words: the sentences say what the result holds."""

from dataclasses import replace

import pytest
from recipes_of_tests import quick_controls
from result_checks import check_result, table_rows, words

from probe.analyses.drawing import drawing
from probe.pages import Section


def shown(result):
    return Section(key="drawing", results={"drawing": result})


@pytest.fixture(scope="module")
def result(trained, digits):
    return drawing(trained, digits, controls=quick_controls(trained, digits, 3), restarts=2, steps=20)


def test_the_section_says_what_was_found(result):
    section = shown(result)
    own = result.artists[0]
    assert f"{own.plain.recognized.mean():.0%} are recognized and {own.plain.plausible_share:.0%}" in words(
        section
    )
    kinds, artists = ({row[0]: row[1:] for row in rows} for rows in table_rows(section))
    assert kinds["held-out images"][0] == f"{result.kind('real').drawn_share:.0%}"
    assert kinds["what the network draws"][-1] == f"{own.plain.agreement[2]:.0%}"
    assert artists["a linear softmax"][0] == f"{result.artists[-1].n_drawn} of 10"
    assert len(artists) == 4
    assert {kind["name"]: kind["plausible_share"] for kind in result.to_dict()["kinds"]}[
        "real"
    ] == result.kind("real").plausible.mean()
    claims = section.rendered().claims
    assert [claim.verdict for claim in claims] == list(result.verdicts)
    assert {claim.picture for claim in claims} == {"drawing"}
    check_result(result)


def test_one_is_told_to_look_only_where_there_is_something_to_see(result):
    own, *others = result.artists
    nothing = replace(own.smoothed, plausible=own.smoothed.plausible & False)
    none = [replace(artist, plain=nothing, smoothed=nothing) for artist in (own, *others)]
    assert "Look for" not in words(shown(replace(result, artists=tuple(none))))
    assert "No class counts as drawn, whoever draws." in words(shown(replace(result, artists=tuple(none))))
    some = replace(own.smoothed, plausible=own.smoothed.plausible | True, judged=own.smoothed.judged * 0)
    artists = (replace(own, smoothed=some), *none[1:])
    assert artists[0].n_drawn == 1
    assert "Look for the frames" in words(shown(replace(result, artists=artists)))


def test_without_networks_the_judge_is_a_dash_and_the_network_is_judged_alone(trained, digits):
    section = shown(drawing(trained, digits, restarts=1, steps=5))
    assert table_rows(section)[0][0][-1] == "–"
    assert [row[0] for row in table_rows(section)[1]] == ["this network", "a linear softmax"]
    assert section.rendered().claims[0].verdict.agreement is None
