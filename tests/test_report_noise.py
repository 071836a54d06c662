"""Noise in words: every number of the tables is that of the result."""

import json

import numpy as np
import pytest

import probe
from probe.analyses.noise import GROUPS, noise_severity
from probe.report.noise import noise_section, severity_section
from probe.workflow._folder import plain


@pytest.fixture(scope="module")
def result(trained, digits):
    controls = probe.control_networks(trained, digits, n_networks=4, config=probe.TrainingConfig(epochs=5))
    return noise_severity(trained, digits, controls=controls, n_images=100)


def test_the_networks_own_table_has_a_row_for_each_rung(result):
    section, _ = severity_section(result)
    rows = section.tables[0].rows
    assert len(rows) == len(result.conditions)
    place = result.index("norm", 16.0)
    assert rows[place][0] == "uniform noise × 16"
    assert rows[place][1] == f"{result.own_confidence[place]:.3f}"
    assert rows[place][-3:] == tuple(f"{auroc:.3f}" for auroc in result.own_auroc[:, place])
    assert rows[0][-3:] == ("", "", "")
    assert f"calibration error on test images is {result.own_ece:.3f}" in section.lead[1]


def test_the_arms_are_means_over_networks(result):
    section, claims = severity_section(result)
    rows = {row[0]: row[1:] for row in section.tables[1].rows}
    assert set(rows) == set(GROUPS)
    mean = result.confidence[2][:, result.index("uniform")].mean()
    assert rows["untrained"][0].startswith(f"{mean:.3f} (")
    assert [claim.verdict for claim in claims] == list(result.verdicts)
    np.testing.assert_array_equal(section.numbers["ece"], result.ece)


def test_without_controls_there_is_one_table_and_no_claim(trained, digits):
    section, claims = severity_section(noise_severity(trained, digits, n_images=50))
    assert (len(section.tables), claims) == (1, ())


def test_the_plain_noise_section_describes_and_does_not_judge(trained, digits):
    noise = probe.noise_confidence(trained, digits)
    section, claims = noise_section(noise)
    assert claims[0].verdict is None
    assert claims[0].picture == section.pictures[0].name
    assert f"{noise.condition('uniform').auroc:.2f}" in claims[0].found
    assert f"off by {noise.calibration_error:.3f}" in section.lead[1]


def test_the_plain_tables_hold_the_numbers_of_the_result(trained, digits):
    noise = probe.noise_confidence(trained, digits)
    section, _ = noise_section(noise)
    interval = noise.condition("shuffled").auroc_over_images
    assert (
        section.tables[0].rows[3][-1]
        == f"{interval.estimate:.3f} ({interval.low:.3f} to {interval.high:.3f})"
    )
    assert section.tables[0].rows[0][-1] == ""
    condition = noise.condition("gaussian")
    expected = [f"{share:.1%}" for share in condition.shares_confident]
    expected += [f"{auroc:.3f}" for auroc in condition.score_aurocs]
    assert list(section.tables[1].rows[2][1:]) == expected
    assert (
        section.numbers["conditions"]["gaussian"]["shares_confident"] == condition.shares_confident.tolist()
    )
    assert section.numbers["temperature"] == noise.temperature
    numbers = json.loads(json.dumps(plain(section.numbers), allow_nan=False))
    assert numbers["conditions"]["shuffled"]["auroc_interval_over_images"] == [interval.low, interval.high]
    assert numbers["conditions"]["real"]["auroc_interval_over_images"] is None
