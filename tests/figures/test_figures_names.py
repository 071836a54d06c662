"""Names of layers, units and classes come from files: they are drawn as they are, in their place, without a warning."""

import warnings
from dataclasses import replace

import numpy as np
import planted
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from test_figures_memorization import conditions_of, synthetic

import probe
from probe.figures._style import cut, literal, png_of, quietly, text_width
from probe.figures.maximize import animation

NAMES = (
    "plain",
    "$x^2$",
    r"$\frac{1}{$",
    "one $ only",
    r"\alpha_{",
    "\N{GRINNING FACE}\N{ROCKET}",
    "שלום עולם",
    "مرحبا",
    "e\u0301\u0302\u0303\u0304 n\u0303",
    "漢字",
    "\u202eright to left\u202c",
    "\x1b[31mred\x1b[0m",
    "two\nlines\ttab",
    "\ud800 half",
    "\x00nul",
    "x" * 100_000,
    "\N{GRINNING FACE}" * 100_000,
    " ",
    "%s {0} \\n",
    "<b>&amp;</b>",
)


def results(names):
    """Give each result with names in its figure, and how to draw it."""
    n, layer = len(names), names[0]
    # A network refuses such names of classes; whoever makes a result by hand can give them.
    yield "weights", replace(planted.dense(n, (8, 8), layer=layer), unit_names=names), {}
    yield "paths", planted.paths(n, (8, 8), layer=layer, units=names), {}
    for part in ("units", "statistics"):
        yield f"structure {part}", planted.structure(n, (8, 8), layer=layer, units=names), {"part": part}
    for part in ("units", "probes", "importance"):
        result = planted.concepts(2, n, layer=layer.replace("{", "{{").replace("}", "}}"), units=names)
        yield f"concepts {part}", result, {"part": part}
    yield "maximize", planted.maximization(n, (8, 8), names=names), {}
    yield "maximize beside", planted.maximization(n, (8, 8), 2, names=names), {}
    yield "unit", planted.unit_card(names, (8, 8), layer=layer), {}
    yield "unit of the output", planted.unit_card(names, (8, 8), layer=layer, name=names[-2]), {}
    yield "drawing", planted.drawings(names, (8, 8)), {}
    yield "noise", planted.noise(names, (8, 8)), {}
    for part in ("examples", "confusion"):
        yield f"classification {part}", planted.classified(names, (8, 8)), {"part": part}
    yield "scores", planted.scores(names, (8, 8)), {}
    yield "examples", synthetic(conditions_of(), 2, n_epochs=20, names=names), {"part": "examples"}
    yield "robustness", planted.robustness(lengths=1, widths=1, data=names), {}
    yield "verification", planted.verification(9, names[0].replace("{", "{{").replace("}", "}}") + " {}"), {}
    for part in ("units", "similarities", "layers", "abilities", "examples"):
        yield (
            f"comparison {part}",
            planted.comparison(6, 6, (8, 8), names=names, classes=names),
            {"part": part},
        )
    yield "landscape", planted.landscape([f"{name} kernel" for name in names]), {"part": "gradient"}


FIGURES = [name for name, _, _ in results(("a", "b"))]


@pytest.fixture(scope="module")
def rendered():
    """Return the figures with the names, drawn with warnings as errors."""
    found = {}
    for first in (NAMES[2], NAMES[-5]):
        # Units and classes have all of the names, the layer one of them.
        names = (first, *(name for name in NAMES if name != first))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for name, result, view in results(names):
                figure = probe.plot(result, **view)
                FigureCanvasAgg(figure).draw()
                found.setdefault(name, []).append(figure)
    return found


@pytest.mark.parametrize("name", FIGURES)
def test_any_names_are_drawn_as_text_without_a_warning_and_cut_to_their_place(rendered, name):
    for figure in rendered[name]:
        texts = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
        assert texts
        for text in texts:
            # Ticks of numbers are made after the style was left, and are none the worse for it.
            number = text.get_text().startswith(r"$\mathdefault{")
            assert number or not (text.get_parse_math() and set("$\\") & set(text.get_text())), (
                text.get_text()
            )
            assert all(len(line) <= 200 for line in text.get_text().split("\n"))
        # Nothing that is not in the font, and nothing that turns or hides other text.
        written = "".join(text.get_text() for text in texts)
        assert not set(written) & set("\x1b\x00\u202e\u202c\ud800\N{ROCKET}\t")


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_layer_is_drawn_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = probe.plot(replace(planted.dense(1, (4, 4)), layer=name))
        FigureCanvasAgg(figure).draw()
    label = figure.axes[1].get_xlabel()
    assert literal(name) in label
    assert len(label) < 100


def test_dollars_and_backslashes_are_seen(rendered):
    written = [text.get_text() for text in rendered["weights"][0].findobj(Text)]
    assert "$x^2$" in written
    assert any(text.startswith("\\alpha") for text in written)


def test_what_the_font_has_not_is_a_box():
    assert literal("a\N{ROCKET}b\u202e") == "a□b□"
    assert literal("\ud800") == "□"
    assert literal("ab12") == "ab12"
    assert literal("a\r\nb") == "a  b"


def test_words_read_from_the_right_do_not_turn_the_sentence_around_them():
    mark = "\N{LEFT-TO-RIGHT MARK}"
    assert literal("שלום") == f"{mark}שלום{mark}"
    assert literal(literal("שלום")) == literal("שלום")
    figure = probe.plot(planted.concepts(1, 4, layer="שלום"), part="importance")
    assert figure.axes[0].get_title("left").startswith(f"'{mark}")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_cut_to_its_width(name):
    for inches in (0.2, 1.0):
        found = cut(name, 9, inches)
        assert "\n" not in found
        assert text_width(found, 9) <= inches or len(found) <= 2


def test_an_animation_takes_any_names():
    content = animation(planted.maximization(len(NAMES), (8, 8), names=NAMES, frames=2))
    assert content[:6] == b"GIF89a"


def test_no_warning_of_drawing_reaches_the_screen(capfd, recwarn):
    import logging

    with quietly():
        np.log(np.zeros(1))
        warnings.warn("Glyph missing", UserWarning, stacklevel=1)
        logging.getLogger("matplotlib.text").warning("posx and posy should be finite values")
    assert capfd.readouterr() == ("", "")
    assert len(recwarn) == 0
    # And what it kept quiet is heard again.
    assert logging.getLogger("matplotlib").getEffectiveLevel() <= logging.WARNING
    figure = probe.plot(planted.dense(3, (8, 8)))
    figure.axes[0].text(0, 0, "\N{GRINNING FACE} $\\frac{1}{$", parse_math=False)
    assert png_of(figure)[:4] == b"\x89PNG"
    assert capfd.readouterr() == ("", "")
