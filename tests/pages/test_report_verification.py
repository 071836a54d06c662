"""Published figures in words: how many are met, and a table for each source."""

from dataclasses import replace

import planted
import pytest
from result_checks import check_result, html_of, table_rows, words

from probe.pages import Section


def section(result):
    return Section(key="verification", results={"verification": result})


@pytest.fixture(scope="module")
def result():
    return planted.verification()


def test_it_is_a_result(result):
    check_result(result)


def test_the_counts_are_said(result):
    said, counts = words(section(result)), result.counts
    assert sum(counts.values()) == 12 and all(counts.values())
    assert (
        f"{counts['supported']} of 12 rows lie within a tolerance that was declared before the table was run"
        in said
    )
    assert f"{counts['refuted']} outside of it" in said
    assert "Size small, 8 networks of each kind." in said
    assert "1 row of the table is left out" in said
    assert "Some experiments are not done yet." not in said
    assert "Some experiments are not done yet." in words(section(replace(result, interrupted=True)))


def test_every_source_has_its_table_and_every_row_its_figures(result):
    tables = table_rows(section(result))
    assert len(tables) == len(result.sources)
    rows = [row for table in tables for row in table]
    assert len(rows) == len(result.rows)
    for cells, row in zip(rows, result.rows, strict=True):
        assert cells[0] == f"{row.claim} (chapter 1, said in a sentence)"
        assert cells[1:3] == [row.published, row.ours] and cells[4] == row.tolerated
        assert cells[3].startswith(
            {"supported": "within", "refuted": "outside", "inconclusive": "undecided"}[row.decision]
        )
        assert ("it is planted" in cells[3]) == (row.decision != "supported")
        assert cells[5:] == ["theirs", "in nothing known"]


def test_claims_are_text_and_no_markup():
    result = planted.verification(3, "<script>alert({})</script>")
    assert "<script>alert" not in html_of(section(result))
