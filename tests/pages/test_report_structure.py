"""Structure in words: tables and claims say what the result holds."""

from dataclasses import replace

import numpy as np
import pytest
from result_checks import check_result, table_rows, words

from probe.analyses.structure import NULLS, weight_structure
from probe.pages import Section


@pytest.fixture(scope="module")
def result(trained, digits):
    return weight_structure(trained, digits, n_null=99)


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


def test_every_verdict_is_a_claim_with_the_picture_that_draws_it(result):
    section = structure_section(result).rendered()
    assert [claim.verdict for claim in section.claims] == list(result.verdicts)
    assert set(section.pictures) == {"structure", "structure_shares", "structure_statistics"}
    assert {claim.picture for claim in section.claims} == {"structure_shares"}
    assert f"Below: {result.n_edges} of {result.n_units} are edge detectors." in words(
        structure_section(result)
    )


@pytest.mark.parametrize("q", [0.01, 0.5])
def test_the_caption_sends_a_reader_to_letters_only_where_there_are_some(result, q):
    null = replace(result.nulls[1], q_values=np.full(result.n_units, q))
    said = words(structure_section(replace(result, nulls=(result.nulls[0], null))))
    assert ("Look for the letter M" in said) == (q <= 0.05)
    assert ("No unit has the letter M" in said) == (q > 0.05)
    if q <= 0.05:
        assert f"letter M: {result.n_units} units have more structure" in said


def test_a_network_that_is_not_tested_is_told_why():
    section = Section(key="structure", facts={"why": "it has no images"}, note="Reduced.")
    assert "are not tested for structure: it has no images." in words(section)
    assert "Reduced." in words(section)
    assert section.rendered().pictures == {}
