"""Concepts in words: table, captions and claims say what the result holds."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import probe
from probe.analyses.concepts import concepts
from probe.report.concepts import concepts_section


@pytest.fixture(scope="module")
def result(trained, digits):
    controls = probe.control_networks(
        trained, digits, n_networks=4, config=probe.TrainingConfig(epochs=10, batch_size=20)
    )
    return concepts(trained, digits, controls=controls, n_permutations=19, n_rotations=99)


def test_the_table_counts_concepts_by_layer(result):
    section, _ = concepts_section(result)
    n_concepts = len(result.names)
    for row, layer in zip(section.tables[0].rows, result.layers, strict=True):
        assert row[0] == layer.layer
        assert row[1] == f"{int((layer.untrained_p <= 0.05).sum())} of {n_concepts}"
        assert row[2] == f"{int(layer.aligned(0.05).sum())} of {n_concepts}"
        assert row[3] == f"{layer.probe_auroc.mean():.3f}"
        worst = int(layer.cost_added.argmax())
        assert row[5] == f"{layer.cost_added[worst]:.3f} (unit {worst})"


def test_a_unit_that_stands_out_is_counted(result):
    q = np.ones(len(result.names))
    q[1] = 0.001
    first = replace(result.layers[0], aligned_q=q, permuted_limit=np.zeros(len(result.names)))
    section, _ = concepts_section(replace(result, layers=(first,)))
    assert section.tables[0].rows[0][2] == f"1 of {len(result.names)}"


def test_every_number_of_the_words_is_kept(result):
    section, _ = concepts_section(result)
    for layer in result.layers:
        kept = section.numbers["layers"][layer.layer]
        np.testing.assert_array_equal(kept["auroc"], layer.auroc)
        np.testing.assert_array_equal(kept["best_units"], layer.best_units)
        agreement = stats.spearmanr(layer.selectivity.max(axis=1), layer.cost_added).statistic
        assert kept["importance_correlation"] == pytest.approx(agreement)
        caption = next(p.caption for p in section.pictures if p.name == "concepts_importance")
        assert f"{agreement:+.2f} in '{layer.layer}'" in caption


def test_concepts_left_out_are_named(result):
    text = " ".join(concepts_section(replace(result, left_out=("two loops",)))[0].lead)
    assert "Too rare or too common to test: two loops." in text
    assert "Too rare" not in " ".join(concepts_section(replace(result, left_out=()))[0].lead)


def test_every_verdict_is_a_claim_with_a_picture_of_the_section(result):
    section, claims = concepts_section(result)
    assert [claim.verdict for claim in claims] == list(result.verdicts)
    assert {claim.picture for claim in claims} <= {picture.name for picture in section.pictures}
    assert {claim.section for claim in claims} == {section.key}
    for claim, verdict in zip(claims, result.verdicts, strict=True):
        assert claim.found == verdict.sentence
        shown = f"{verdict.statistic:.3f}", f"{verdict.statistic:.0%}"
        assert any(number in claim.found for number in shown)


def test_without_controls_there_are_no_claims(result):
    assert concepts_section(replace(result, verdicts=()))[1] == ()
