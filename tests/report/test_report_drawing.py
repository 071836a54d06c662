"""Drawings in words: the sentences say what the result holds."""

import numpy as np
from result_checks import check_result, table_rows, words

import probe
from probe.analyses.drawing import drawing
from probe.report.report import Section


def shown(result):
    return Section(key="drawing", results={"drawing": result})


def test_the_section_says_what_was_found(trained, digits):
    controls = probe.control_networks(trained, digits, n_networks=3, config=probe.TrainingConfig(epochs=5))
    result = drawing(trained, digits, controls=controls, restarts=2, steps=20)
    section = shown(result)
    drawn = result.kind("optimized")
    assert f"{drawn.plausible.mean():.0%} of them are as close" in words(section)
    assert f"in {drawn.agreement[:2].mean():.0%} nearest neighbors" in words(section)
    rows = {row[0]: row[1:] for row in table_rows(section)[0]}
    assert rows["uniform noise"][0] == f"{np.median(result.kind('noise').percentiles[:, 0]):.0%}"
    assert rows["what the network draws"][-1] == f"{drawn.agreement[2]:.0%}"
    kinds = {kind["name"]: kind for kind in result.to_dict()["kinds"]}
    assert kinds["real"]["plausible_share"] == result.kind("real").plausible.mean()
    claims = section.rendered().claims
    assert [claim.verdict for claim in claims] == list(result.verdicts)
    assert {claim.picture for claim in claims} == {"drawing"}
    check_result(result)


def test_without_networks_the_judge_is_a_dash_and_nothing_is_claimed(trained, digits):
    section = shown(drawing(trained, digits, restarts=1, steps=5))
    assert table_rows(section)[0][0][-1] == "–"
    assert section.rendered().claims == ()
