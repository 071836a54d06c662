"""Noise in words: every number of the tables is that of the result."""

import json

import pytest
from result_checks import check_result, table_rows, words

import probe
from probe.analyses.noise import GROUPS, KINDS, noise_severity
from probe.report.report import Section
from probe.workflow._folder import plain


def shown(severity):
    return Section(key="severity", results={"severity": severity})


@pytest.fixture(scope="module")
def result(trained, digits):
    controls = probe.control_networks(trained, digits, n_networks=4, config=probe.TrainingConfig(epochs=5))
    return noise_severity(trained, digits, controls=controls, n_images=100)


@pytest.fixture(scope="module")
def noise(trained, digits):
    return probe.noise_confidence(trained, digits)


def test_the_networks_own_table_has_a_row_for_each_condition(result):
    rows = table_rows(shown(result))[0]
    assert len(rows) == len(result.conditions)
    index = result.index("norm", 16.0)
    assert rows[index][0] == "uniform noise × 16"
    assert rows[index][1] == f"{result.own_confidence[index]:.3f}"
    assert rows[index][-3:] == [f"{auroc:.3f}" for auroc in result.own_auroc[:, index]]
    assert rows[0][-3:] == ["", "", ""]
    assert f"calibration error on test images is {result.own_ece:.3f}" in words(shown(result))


def test_the_groups_are_means_over_networks(result):
    rows = {row[0]: row[1:] for row in table_rows(shown(result))[1]}
    assert set(rows) == set(GROUPS)
    mean = result.confidence[2][:, result.index("uniform")].mean()
    assert rows["untrained"][0].startswith(f"{mean:.3f} (")
    assert rows["trained"][-1].startswith(f"{result.ece[0].mean():.3f} (")
    claims = shown(result).rendered().claims
    assert [claim.verdict for claim in claims] == list(result.verdicts)
    assert result.to_dict()["ece"] == result.ece.tolist()
    means = result.to_dict()["means"][2]
    assert (means["group"], means["confidence"]["uniform noise"]["estimate"]) == (
        "untrained",
        pytest.approx(mean),
    )


def test_without_controls_there_is_one_table_and_no_claim(trained, digits):
    section = shown(noise_severity(trained, digits, n_images=50))
    assert (len(table_rows(section)), section.rendered().claims) == (1, ())


def test_every_kind_of_image_has_one_name_everywhere(result, noise):
    labels = {condition.label for condition in noise.conditions}
    assert labels == set(KINDS.values())
    assert labels < {condition.label for condition in result.conditions}
    assert set(result.means[0].confidence) == labels - {"real test images"}
    confident = [verdict.title for verdict in result.verdicts if verdict.key.startswith("confident/")]
    assert confident == [
        f"Given {name}, the network confidently names a class" for name in result.means[0].confidence
    ]
    titles = [axes.get_title(loc="left") for axes in probe.plot(noise).axes[::3]]
    assert titles == list(KINDS.values())


def test_the_plain_noise_section_describes_and_does_not_judge(noise):
    section = Section(key="noise", results={"noise": noise})
    rendered = section.rendered()
    (claim,) = rendered.claims
    assert claim.verdict is None
    assert claim.picture in rendered.pictures
    assert f"{noise.condition('uniform').auroc:.2f}" in claim.found
    assert f"off by {noise.calibration_error:.3f}" in words(section)


def test_the_plain_tables_hold_the_numbers_of_the_result(noise):
    first, second = table_rows(Section(key="noise", results={"noise": noise}))
    interval = noise.condition("shuffled").auroc_over_images
    assert first[3][-1] == f"{interval.estimate:.3f} ({interval.low:.3f} to {interval.high:.3f})"
    assert first[0][-1] == ""
    condition = noise.condition("gaussian")
    expected = [f"{share:.1%}" for share in condition.shares_confident]
    expected += [f"{auroc:.3f}" for auroc in condition.score_aurocs]
    assert second[2][1:] == expected
    numbers = json.loads(json.dumps(plain(noise.to_dict()), allow_nan=False))
    conditions = {condition["name"]: condition for condition in numbers["conditions"]}
    assert conditions["gaussian"]["shares_confident"] == condition.shares_confident.tolist()
    assert numbers["temperature"] == noise.temperature
    over_images = conditions["shuffled"]["auroc_over_images"]
    assert [over_images["low"], over_images["high"]] == [interval.low, interval.high]
    assert conditions["real"]["auroc_over_images"] is None


def test_results_show_themselves(result, noise):
    check_result(result)
    check_result(noise)
