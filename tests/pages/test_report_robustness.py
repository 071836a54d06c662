"""Robustness in words: the range that was searched, verdicts about networks in general, and the shares of every setting."""

from dataclasses import replace

import numpy as np
import planted
import pytest
from result_checks import check_result, html_of, table_rows, words

from probe.pages import Section


def section(result):
    return Section(key="robustness", results={"robustness": result})


@pytest.fixture(scope="module")
def result():
    return planted.robustness(lengths=2, widths=2)


def test_it_is_a_result(result):
    check_result(result)


def test_the_range_is_said(result):
    said = words(section(result))
    assert "for 6 networks in each of 16 settings" in said
    assert "recipes (modern and video)" in said
    assert "training (x 0 and x 1 the recipe's epochs)" in said
    assert "hidden layers (0-0 and 1-1)" in said
    assert "data (mnist and digits)" in said


def test_settings_that_are_missing_are_told(result):
    told = "Some settings are not done yet."
    assert told not in words(section(result))
    assert told in words(section(replace(result, interrupted=True)))


def test_every_claim_has_its_verdict_and_its_picture(result):
    rendered = section(result).rendered()
    assert [claim.statement for claim in rendered.claims] == list(result.titles)
    assert [claim.verdict for claim in rendered.claims] == list(result.verdicts)
    assert [claim.picture for claim in rendered.claims] == [f"robustness_{key}" for key in result.claims]
    assert set(rendered.pictures) == {f"robustness_{key}" for key in result.claims}
    assert len({rendered.pictures[name] for name in rendered.pictures}) == len(result.claims)


def test_verdicts_about_networks_in_general_are_not_those_of_this_page(result):
    assert not any(claim.is_primary for claim in section(result).rendered().claims)


def test_the_table_has_accuracy_and_shares_of_every_setting(result):
    (rows,) = table_rows(section(result))
    assert len(rows) == result.n_settings
    for k, row in enumerate(rows):
        levels = [result.data[k], result.recipe[k], result.architecture[k], result.length[k]]
        shares = [f"{np.mean(result.decisions[claim, k] == 0):.0%}" for claim in range(len(result.claims))]
        assert row == [*levels, f"{result.test_accuracy[k].mean():.1%}", *shares]


def test_names_of_data_are_text_and_no_markup():
    result = planted.robustness(lengths=1, widths=1, data=("<script>alert(1)</script>", "{{ 7 * 7 }}"))
    html = html_of(section(result))
    assert "<script>" not in html
    assert "{{ 7 * 7 }}" in words(section(result))
