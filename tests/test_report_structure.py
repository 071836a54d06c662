"""Structure in words: tables and claims say what the result holds."""

import pytest

import probe
from probe.analyses.structure import weight_structure
from probe.report.structure import structure_section


@pytest.fixture(scope="module")
def result(trained, digits):
    controls = probe.control_networks(
        trained, digits, n_networks=4, config=probe.TrainingConfig(epochs=10, batch_size=20)
    )
    return weight_structure(trained, digits, controls=controls, n_null=99)


def test_the_table_counts_the_units_of_each_null(result):
    section, _ = structure_section(result)
    rows = {row[0]: row for row in section.tables[0].rows}
    for null in result.nulls:
        n_found = int((null.p_values <= 0.05).sum())
        assert rows[null.name][2] == f"{n_found} of {len(result.values)}"
        assert rows[null.name][4] == f"{null.power:.0%}"
        assert (section.numbers["nulls"][null.name]["p_values"] == null.p_values).all()


def test_effects_have_their_interval_and_networks(result):
    table = structure_section(result)[0].tables[1]
    assert "4 trained twins" in table.caption
    effect = next(e for e in result.effects if (e.null, e.statistic) == ("data-span", "gabor"))
    assert ("data-span", "best Gabor fit, R²", f"{effect.difference.estimate:+.3f} "
            f"({effect.difference.low:+.3f} to {effect.difference.high:+.3f})") in table.rows  # fmt: skip


def test_every_verdict_is_a_claim_with_a_picture_of_the_section(result):
    section, claims = structure_section(result)
    assert [claim.verdict for claim in claims] == list(result.verdicts)
    assert {claim.picture for claim in claims} <= {picture.name for picture in section.pictures}


def test_without_controls_there_are_no_claims_and_no_effects(trained, digits):
    section, claims = structure_section(weight_structure(trained, digits, n_null=49))
    assert claims == ()
    assert len(section.tables) == 1
