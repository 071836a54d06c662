"""Structure in words: tables and claims say what the result holds."""

import pytest
from result_checks import check_result, table_rows, words

import probe
from probe.analyses.structure import NULLS, weight_structure
from probe.report.report import Section


@pytest.fixture(scope="module")
def result(trained, digits):
    controls = probe.control_networks(
        trained, digits, n_networks=4, config=probe.TrainingConfig(epochs=10, batch_size=20)
    )
    return weight_structure(trained, digits, controls=controls, n_null=99)


def structure_section(result):
    return Section(key="structure", results={"structure": result})


def test_structure_is_a_result(result):
    check_result(result)
    assert result.columns()["q_data-span"].shape == (len(result.values),)


def test_the_table_counts_the_units_of_each_null(result):
    rows = {row[0]: row for row in table_rows(structure_section(result))[0]}
    assert list(rows) == [null.name for null in result.nulls]
    for null, kept in zip(result.nulls, result.to_dict()["nulls"], strict=True):
        n_found = int((null.p_values <= 0.05).sum())
        n_after = int((null.q_values <= 0.05).sum())
        _, question, found, after, power = rows[null.name]
        assert question == NULLS[null.name].question
        assert found == f"{n_found} of {len(result.values)}"
        assert after == f"{n_after} of {len(result.values)}"
        assert power == f"{null.power:.0%}"
        assert kept["p_values"] == null.p_values.tolist()


def test_effects_have_their_interval_and_networks(result):
    section = structure_section(result)
    assert "over 4 trained control networks" in words(section)
    effect = next(e for e in result.effects if (e.null, e.statistic) == ("data-span", "gabor"))
    said = (
        f"{effect.difference.estimate:+.3f} ({effect.difference.low:+.3f} to {effect.difference.high:+.3f})"
    )
    assert ["data-span", "best Gabor fit, R²", said] in table_rows(section)[1]


def test_every_verdict_is_a_claim_with_a_picture_of_the_section(result):
    section = structure_section(result).rendered()
    assert [claim.verdict for claim in section.claims] == list(result.verdicts)
    assert set(section.pictures) == {"structure", "structure_statistics"}
    pictures = {claim.verdict.key: claim.picture for claim in section.claims}
    assert pictures.pop("random") == "structure"
    assert set(pictures.values()) == {"structure_statistics"}


def test_without_controls_there_are_no_claims_and_no_effects(trained, digits):
    section = structure_section(weight_structure(trained, digits, n_null=49))
    assert section.rendered().claims == ()
    assert len(table_rows(section)) == 1


def test_a_network_that_is_not_tested_is_told_why():
    section = Section(key="structure", facts={"why": "it has no images"}, note="Reduced.")
    assert "are not tested for structure: it has no images." in words(section)
    assert "Reduced." in words(section)
    assert section.rendered().pictures == {}
