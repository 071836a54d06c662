"""Pictures of a page: the same whoever draws them, and drawn in any case."""

import io
from concurrent.futures import BrokenExecutor, Future
from dataclasses import replace

import numpy as np
import planted
import pytest
from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from PIL import Image

from probe import InputError, plot
from probe._processes import NoProcessError
from probe.figures import picture, picture_files
from probe.figures._picture import Picture
from probe.figures._style import DOTS, png_bytes
from probe.pages import Draft, RenderedSection, Report, Section
from probe.pages import _drawing as drawing


@pytest.fixture(autouse=True)
def others_draw(monkeypatch):
    monkeypatch.setattr(drawing, "available_workers", lambda: 2)
    monkeypatch.setattr(drawing, "place", lambda seconds, workers, n_tasks: ("processes", 2))


@pytest.fixture(scope="module")
def drawings():
    return [drawing.Drawing(planted.noise(("a", "b")[: 1 + k % 2], (4, 4)), {}) for k in range(9)]


@pytest.fixture(scope="module")
def expected(drawings):
    return [picture_files(each.result, **each.view) for each in drawings[:2]]


def files(drawn):
    return [(each.png, each.svg) for each in drawn]


def test_other_processes_draw_while_the_caller_goes_on_and_the_pictures_are_the_same(drawings, expected):
    events = []
    with drawing.Easel() as easel:
        easel.begin(drawings[2:])
        drawn = easel.drawn(drawings, events.append)
    assert files(drawn) == [expected[k % 2] for k in range(9)]
    assert [(event.stage, event.done, event.total) for event in events] == [
        ("drawing", k, 9) for k in range(1, 10)
    ]


def test_no_picture_is_drawn_twice(drawings, monkeypatch):
    begun = []

    def here(function, each):
        begun.append(each)
        future = Future()
        future.set_result(drawing.Drawn(b"", b""))
        return future

    monkeypatch.setattr(drawing, "submit", here)
    with drawing.Easel() as easel:
        easel.begin(drawings[3:5])
        easel.begin(drawings[4:6])
        easel.drawn(drawings)
    assert len(begun) == len(drawings) == len(set(begun))


@pytest.mark.parametrize("kind", [Picture, FigureCanvasAgg, FigureCanvasSVG])
def test_a_picture_is_drawn_once_for_each_file(kind, drawings, monkeypatch):
    name = "print_svg" if kind is FigureCanvasSVG else "draw"
    original, calls = getattr(kind, name), []

    def counted(self, *args, **options):
        calls.append(kind)
        return original(self, *args, **options)

    monkeypatch.setattr(kind, name, counted)
    picture_files(drawings[0].result)
    assert len(calls) == (2 if kind is Picture else 1)


def test_the_files_are_those_that_matplotlib_saves(drawings, expected):
    memory, figure = io.BytesIO(), plot(drawings[0].result)
    figure.savefig(memory, dpi=DOTS, facecolor="white")
    saved, ours = (
        np.asarray(Image.open(file).convert("RGB")) for file in (memory, io.BytesIO(expected[0][0]))
    )
    # A palette may leave differences that cannot be seen.
    np.testing.assert_allclose(ours.astype(int), saved.astype(int), atol=16)


def test_a_figure_is_as_it_was_after_it_was_drawn(drawings):
    figure = plot(drawings[0].result)
    canvas, dpi = figure.canvas, figure.dpi
    png_bytes(figure)
    assert (figure.canvas, figure.dpi) == (canvas, dpi)


@pytest.mark.parametrize("error", [NoProcessError("no room"), BrokenExecutor()])
def test_what_no_other_process_draws_is_drawn_here(error, drawings, expected, monkeypatch):
    def killed(function, each):
        if isinstance(error, NoProcessError):
            raise error
        future = Future()
        future.set_exception(error)
        return future

    monkeypatch.setattr(drawing, "submit", killed)
    with drawing.Easel() as easel:
        easel.begin(drawings[:2])
        assert files(easel.drawn(drawings[:3])) == [expected[k % 2] for k in range(3)]


def test_no_process_draws_after_the_block(drawings):
    with pytest.raises(KeyboardInterrupt), drawing.Easel() as easel:
        easel.begin(drawings)
        begun = [*easel._begun.values()]
        raise KeyboardInterrupt
    assert all(future.done() for future in begun)
    assert any(future.cancelled() for future in begun)


def test_what_cannot_be_drawn_is_an_error_wherever_it_is_drawn(drawings, monkeypatch):
    wrong = [replace(each, view={"part": "none"}) for each in drawings]
    for workers in (2, 1):
        monkeypatch.setattr(drawing, "available_workers", lambda workers=workers: workers)
        with drawing.Easel() as easel, pytest.raises(InputError, match="part must be left out for NoiseConf"):
            easel.drawn(wrong)


def test_a_section_in_a_draft_is_put_in_words_once(monkeypatch):
    worded = []
    monkeypatch.setattr(
        Section,
        "worded",
        lambda self, length: worded.append(length) or (RenderedSection("k", "t", Markup(""), ()), {}),
    )
    sections = Section(key="noise"), Section(key="minima")
    with Draft("brief") as draft:
        draft.add(sections[1])
        rendered = Report(title="t", subtitle="s", sections=sections).rendered(draft=draft)
    assert len(rendered.sections) == 2
    assert worded == ["brief", "brief"]


def test_the_files_of_a_picture_are_the_picture(drawings, expected):
    assert picture(drawings[0].result) == expected[0][0]
    assert expected[0][1].startswith(b"<?xml")
    assert b"date" not in expected[0][1].lower()
