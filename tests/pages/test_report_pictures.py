"""Pictures of a page: the same whoever draws them, and drawn in any case."""

from dataclasses import replace

import planted
import pytest

from probe import InputError
from probe.figures import picture, picture_files
from probe.pages import _drawing as drawing


@pytest.fixture(scope="module", autouse=True)
def others_draw():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "_MANY", 8)
        yield


@pytest.fixture(scope="module")
def drawings():
    return [drawing.Drawing(planted.noise(("a", "b")[: 1 + k % 2], (4, 4)), {}) for k in range(9)]


@pytest.fixture(scope="module")
def expected(drawings):
    return [picture_files(each.result, **each.view) for each in drawings[:2]]


def files(drawn):
    return [(each.png, each.svg) for each in drawn]


def test_many_are_drawn_by_other_processes_and_are_the_same(drawings, expected):
    events = []
    drawn = drawing.draw_all(drawings, events.append)
    assert files(drawn) == [expected[k % 2] for k in range(9)]
    assert [(event.stage, event.done, event.total) for event in events] == [
        ("drawing", k, 9) for k in range(1, 10)
    ]


@pytest.mark.parametrize("error", [OSError("no room"), drawing.BrokenExecutor()])
def test_what_no_other_process_draws_is_drawn_here(error, drawings, expected, monkeypatch):
    def one_and_no_more(tasks):
        yield 1, drawing.Drawn(*expected[1])
        raise error

    monkeypatch.setattr(drawing, "_in_processes", one_and_no_more)
    assert files(drawing.draw_all(drawings)) == [expected[k % 2] for k in range(9)]


def test_what_cannot_be_drawn_is_an_error_wherever_it_is_drawn(drawings):
    wrong = [replace(each, view={"part": "none"}) for each in drawings]
    with pytest.raises(InputError, match="part must be left out for NoiseConfidence"):
        drawing.draw_all(wrong)
    with pytest.raises(InputError, match="part must be left out for NoiseConfidence"):
        drawing.draw_all(wrong[:1])


def test_the_files_of_a_picture_are_the_picture(drawings, expected):
    assert picture(drawings[0].result) == expected[0][0]
    assert expected[0][1].startswith(b"<?xml")
    assert b"date" not in expected[0][1].lower()
