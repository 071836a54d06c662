"""Concepts in words: table, captions and claims say what the result holds."""

from dataclasses import replace

import numpy as np
import pytest
from recipes_of_tests import quick_controls
from result_checks import check_result, table_rows, words
from scipy import stats

from probe.analyses.concepts import concepts
from probe.pages import Section


@pytest.fixture(scope="module")
def result(trained, digits):
    controls = quick_controls(trained, digits, 4, epochs=10)
    return concepts(trained, digits, controls=controls, n_permutations=19, n_rotations=99)


def concepts_section(result):
    return Section(key="concepts", results={"concepts": result})


def test_concepts_are_a_result(result):
    check_result(result)
    assert len(result.columns()["concept"]) == len(result.layers) * len(result.names)


def test_the_table_counts_concepts_by_layer(result):
    (rows,) = table_rows(concepts_section(result))
    n_concepts = len(result.names)
    for row, layer in zip(rows, result.layers, strict=True):
        assert row[0] == layer.layer
        assert row[1] == f"{int((layer.untrained_p <= 0.05).sum())} of {n_concepts}"
        assert row[2] == f"{int(layer.aligned(0.05).sum())} of {n_concepts}"
        assert row[3] == f"{layer.probe_auroc.mean():.3f}"
        assert row[4] == f"{layer.untrained_probe_auroc.mean():.3f}"
        assert row[5] == f"{layer.components_auroc.mean():.3f}"
        assert row[6] == f"{layer.control_task_auroc.mean():.3f}"
        assert row[7] == f"{layer.overall_auroc.mean():.3f}"
        worst = int(layer.cost_added.argmax())
        assert row[8] == f"{layer.cost_added[worst]:.3f} (unit {worst})"


def test_a_unit_that_stands_out_is_counted(result):
    q = np.ones(len(result.names))
    q[1] = 0.001
    first = replace(result.layers[0], aligned_q=q, permuted_limit=np.zeros(len(result.names)))
    (rows,) = table_rows(concepts_section(replace(result, layers=(first,))))
    assert rows[0][2] == f"1 of {len(result.names)}"


def test_every_number_of_the_words_is_kept(result):
    said, kept = words(concepts_section(result)), result.to_dict()
    deepest = result.layers[-1]
    n_gained = int((deepest.probe_auroc > deepest.untrained_probe_auroc).sum())
    assert f"in '{deepest.layer}' for {n_gained} of {len(result.names)} concepts" in said
    for layer, found in zip(result.layers, kept["layers"], strict=True):
        assert found["best_units"] == layer.best_units.tolist()
        agreement = stats.spearmanr(layer.selectivity.max(axis=1), layer.cost_added).statistic
        assert found["importance_correlation"] == pytest.approx(agreement)
        assert f"{agreement:+.2f} in '{layer.layer}'" in said


def test_too_few_units_are_not_compared(result):
    layer = result.layers[0]
    two = {
        name: getattr(layer, name)[:2]
        for name in (
            "unit_names",
            "auroc",
            "accuracy_lost",
            "cost_added",
            "cost_added_with",
            "cost_added_without",
        )
    }
    said = words(concepts_section(replace(result, layers=(replace(layer, **two),))))
    assert "selectivity is not importance; there are too few units to compare them." in said


def test_concepts_left_out_are_named(result):
    assert "Too rare or too common: two loops." in words(
        concepts_section(replace(result, left_out=("two loops",)))
    )
    assert "Too rare" not in words(concepts_section(replace(result, left_out=())))


def test_every_verdict_is_a_claim_with_a_picture_of_the_section(result):
    section = concepts_section(result).rendered()
    assert [claim.verdict for claim in section.claims] == list(result.verdicts)
    assert {claim.picture for claim in section.claims} <= section.pictures.keys()
    assert {claim.section for claim in section.claims} == {section.key}
    for claim, verdict in zip(section.claims, result.verdicts, strict=True):
        assert claim.found == verdict.sentence
        assert claim.picture == ("concepts_probes" if verdict.key == "edges-layer" else "concepts_loops")


def test_the_reader_is_sent_to_rings_and_to_a_unit_only_where_there_is_one(result):
    n_concepts, found = len(result.names), result.loops
    plain = replace(result.layers[0], aligned_q=np.ones(n_concepts))
    low = replace(found, chosen_auroc=replace(found.chosen_auroc, low=0.5, high=0.6), threshold=0.7)
    said = words(concepts_section(replace(result, layers=(plain,), loops=low)))
    assert "Look for" not in said
    assert "No unit that was chosen gets there." in said
    ringed = replace(plain, aligned_q=np.zeros(n_concepts), permuted_limit=np.zeros(n_concepts))
    high = replace(found, chosen_auroc=replace(found.chosen_auroc, low=0.75, high=0.9), threshold=0.7)
    said = words(concepts_section(replace(result, layers=(ringed,), loops=high)))
    assert "Look for rings" in said
    assert "Look for the unit above it." in said


def test_without_loops_within_classes_there_is_no_picture_of_them(result):
    section = concepts_section(replace(result, loops=None)).rendered()
    assert "concepts_loops" not in section.pictures
    assert {claim.picture for claim in section.claims} <= section.pictures.keys()
