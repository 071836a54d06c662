"""Noise in words: every number of the tables is that of the result."""

import json
from dataclasses import replace

import numpy as np
import pytest
from recipes_of_tests import quick_controls
from result_checks import check_result, table_rows, words

import probe
from probe.analyses.noise import GROUPS, KINDS, noise_severity
from probe.pages import Section
from probe.workflow._folder import plain


def shown(severity):
    return Section(key="severity", results={"severity": severity})


def described(noise):
    return Section(key="noise", results={"noise": noise})


@pytest.fixture(scope="module")
def controls(trained, digits):
    return quick_controls(trained, digits, 4)


@pytest.fixture(scope="module")
def result(trained, digits, controls):
    return noise_severity(trained, digits, controls=controls, n_images=100)


@pytest.fixture(scope="module")
def noise(trained, digits, controls):
    return probe.noise_confidence(trained, digits, controls=controls)


def test_the_networks_own_table_has_a_row_for_each_condition(result):
    rows = table_rows(shown(result))[0]
    assert len(rows) == len(result.conditions)
    index = result.index("norm", 16.0)
    assert rows[index][0] == "uniform noise × 16"
    assert rows[index][1] == f"{result.own_confidence[index]:.3f}"
    assert rows[index][-3:] == [f"{auroc:.3f}" for auroc in result.own_auroc[:, index]]
    assert rows[0][-3:] == ["", "", ""]


def test_the_groups_are_counts_of_networks(result):
    rows = {row[0]: row[1:] for row in table_rows(shown(result))[1]}
    assert list(rows) == list(GROUPS.values())
    uniform = result.index("uniform")
    sure = (result.share_above[:, :, uniform, 1] > 0.5).sum(axis=1)
    assert [row[0] for row in rows.values()] == [str(n) for n in sure]
    claims = shown(result).rendered().claims
    assert [claim.verdict for claim in claims] == list(result.verdicts)
    pictures = {claim.verdict.key: claim.picture for claim in claims}
    assert pictures == {"limit": "noise_severity", "trained": "noise_origins", "labels": "noise_origins"}
    assert result.to_dict()["summaries"][0]["n_sure"]["uniform noise"] == sure[0]


def test_without_controls_there_is_one_table_and_only_the_networks_own_claim(trained, digits):
    section = shown(noise_severity(trained, digits, n_images=50))
    assert len(table_rows(section)) == 1
    assert [claim.verdict.key for claim in section.rendered().claims] == ["limit"]
    assert "noise_origins" not in section.rendered().pictures


def test_every_kind_of_image_has_one_name_everywhere(result, noise):
    labels = {condition.label for condition in noise.conditions}
    assert labels == set(KINDS.values())
    assert labels < {condition.label for condition in result.conditions}
    assert set(result.summaries[0].n_sure) == labels - {"real test images"}
    titles = [axes.get_title(loc="left") for axes in probe.plot(noise).axes[::3]]
    assert titles == list(KINDS.values())


def test_every_question_on_noise_is_one_row(result, noise):
    titles = [
        claim.statement for each in (described(noise), shown(result)) for claim in each.rendered().claims
    ]
    assert len(set(titles)) == len(titles) == 8
    assert titles[:2] == [
        "Given pure noise, the network confidently names a digit",
        "Given Gaussian noise, the network confidently names a digit",
    ]


def test_the_noise_section_says_of_this_network_what_was_found(noise):
    section = described(noise)
    rendered = section.rendered()
    assert [claim.verdict for claim in rendered.claims] == list(noise.verdicts)
    assert {claim.picture for claim in rendered.claims} == {"noise"}
    uniform = noise.condition("uniform")
    assert rendered.claims[0].found.startswith(
        f"{uniform.share_confident:.0%} of 2,000 images of uniform noise"
    )
    assert f"off by {noise.calibration_error:.3f}" in words(section)
    assert f"sure of {noise.scaled_share:.0%} of uniform noise" in words(section)
    assert f"of {len(noise.verdicts[0].agreement.decisions)} networks" in noise.verdicts[0].agreement.sentence


@pytest.mark.parametrize(("confidence", "said"), [(0.95, "Look for the dot"), (0.2, "sure of hardly any")])
def test_the_caption_is_of_this_network(noise, confidence, said):
    uniform = replace(noise.condition("uniform"), confidences=np.full(100, confidence))
    conditions = (noise.conditions[0], uniform, *noise.conditions[2:])
    shown_words = words(described(replace(noise, conditions=conditions)))
    assert said in shown_words
    other = {"Look for the dot", "sure of hardly any"} - {said}
    assert other.pop() not in shown_words


def test_the_plain_tables_hold_the_numbers_of_the_result(noise):
    first, second = table_rows(described(noise))
    condition = noise.condition("gaussian")
    assert first[2][2:5] == [f"{share:.1%}" for share in condition.shares_confident]
    interval = noise.condition("shuffled").auroc_over_images
    assert second[2][1] == f"{interval.estimate:.3f} ({interval.low:.3f} to {interval.high:.3f})"
    assert second[1][2:] == [f"{auroc:.3f}" for auroc in condition.score_aurocs[1:]]
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
