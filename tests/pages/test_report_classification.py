"""Mistakes in words: every number is that of the result."""

import planted
import pytest
from result_checks import check_result, table_rows, words

import probe
from probe.pages import Section


def shown(result):
    return Section(key="classification", results={"classification": result})


@pytest.fixture(scope="module")
def found(trained, digits):
    return probe.classification(trained, digits)


def test_the_page_says_the_numbers_of_the_result(found):
    check_result(found)
    said = words(shown(found))
    assert f"{found.n_wrong} wrong answers on 355 test images." in said
    label, named, n = found.most_confused[0]
    assert f"'{label}' for '{named}' ({n})" in said
    assert f"Brier score {found.brier_score:.4f}, log loss {found.log_loss:.4f} nats" in said
    claims = shown(found).rendered().claims
    assert f"{found.accuracy:.2%;images} are put in their class" in claims[0].found
    assert f": {found.n_sure_and_wrong} of {found.n_wrong} wrong answers." in claims[1].found
    assert f"Confidence and accuracy are {found.calibration.error:.3f} apart" in claims[2].found
    # None of it is about words of the video, and nothing is decided.
    assert not any(claim.is_primary or claim.verdict for claim in claims)


def test_the_table_has_a_row_for_each_class(found):
    (rows,) = table_rows(shown(found))
    assert [row[0] for row in rows] == list(found.class_names)
    assert [row[3] for row in rows] == [f"{value:.3f}" for value in found.precision]
    assert table_rows(shown(planted.classified([str(k) for k in range(101)]))) == []


def test_in_a_whole_report_it_is_short(found):
    words, drawings = shown(found).worded("brief")
    assert words.claims == () and len(words.html.striptags().split()) < 45
    assert list(drawings) == ["classification", "classification_confusion", "classification_reliability"]


def test_of_many_classes_the_five_best_answers_count_and_of_none_wrong_it_says_so(undrawn):
    many = planted.classified([f"class {k}" for k in range(101)])
    assert "For 90.00% the class is among the five with the largest outputs." in words(shown(many))
