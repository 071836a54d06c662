"""Drawings in words: the sentences say what the result holds."""

import numpy as np

import probe
from probe.analyses.drawing import drawing
from probe.report.drawing import drawing_section


def test_the_section_says_what_was_found(trained, digits):
    controls = probe.control_networks(trained, digits, n_networks=3, config=probe.TrainingConfig(epochs=5))
    result = drawing(trained, digits, controls=controls, restarts=2, steps=20)
    section, claims = drawing_section(result)
    drawn = result.kind("optimised")
    assert f"{drawn.plausible.mean():.0%} of them are as close" in section.lead[0]
    assert f"in {drawn.agreement[:2].mean():.0%} nearest neighbours" in section.lead[0]
    rows = {row[0]: row[1:] for row in section.tables[0].rows}
    assert rows["uniform noise"][0] == f"{np.median(result.kind('noise').percentiles[:, 0]):.0%}"
    assert rows["what the network draws"][-1] == f"{drawn.agreement[2]:.0%}"
    assert section.numbers["kinds"]["real"]["plausible"] == result.kind("real").plausible.mean()
    assert [claim.verdict for claim in claims] == list(result.verdicts)
    assert {claim.picture for claim in claims} == {"drawing"}


def test_without_networks_the_judge_is_a_dash_and_nothing_is_claimed(trained, digits):
    section, claims = drawing_section(drawing(trained, digits, restarts=1, steps=5))
    assert section.tables[0].rows[0][-1] == "–"
    assert claims == ()
