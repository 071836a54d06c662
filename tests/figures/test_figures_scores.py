"""The figure of memorization scores: all examples are counted, the images are those kept, and labels have room."""

import io
import json
import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from pictures import overlaps, rendered, visible_texts

import probe
from probe.analyses.scores import MemorizationScores
from probe.figures._style import COLORS
from probe.pages import Section

DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt or top",
    "Trouser",
    "Pullover with a very long name",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def result(shape=(28, 28), names=DIGITS, n=300, corrupted=60, lowest=0.0, n_most=16):
    """Return scores that no network made."""
    rng = np.random.default_rng(0)
    true = rng.integers(len(names), size=n)
    labels = true.copy()
    labels[:corrupted] = (labels[:corrupted] + 1) % len(names)
    scores = np.where(labels == true, rng.choice([0.0, 0.05, 0.3, 0.9], n), rng.choice([0.8, 1.0], n))
    scores[-1] = lowest
    most = np.argsort(-scores, kind="stable")[:n_most]
    return MemorizationScores(
        scores=scores,
        standard_errors=np.full(n, 0.05),
        accuracy_in=np.ones(n),
        accuracy_out=1 - scores,
        n_in=np.full(n, 14),
        n_out=np.full(n, 6),
        labels=labels,
        true_labels=true,
        sample_indices=np.arange(n),
        most_memorized=most,
        images=rng.random((len(most), *shape)).astype(np.float32),
        class_names=names,
        architecture="784-128-10 relu",
        share=0.7,
        corruption=corrupted / n,
    )


SHAPES = [(28, 28), (8, 8), (32, 32, 3), (28, 28, 1), (12, 30), (30, 12)]


@pytest.mark.parametrize(
    ("shape", "names", "corrupted"),
    [
        *((shape, CLOTHES, 60) for shape in SHAPES),
        *((shape, DIGITS, 0) for shape in SHAPES),
        ((28, 28), DIGITS, 60),
        ((32, 32, 3), ("cat", "dog"), 60),
        ((32, 32, 3), ("cat", "dog"), 0),
    ],
)
def test_no_label_lies_over_another_or_beyond_the_edge(shape, names, corrupted):
    figure = rendered(result(shape, names, corrupted=corrupted))
    assert overlaps(figure) == []
    edge = figure.bbox
    for text, box in visible_texts(figure):
        assert box.x0 > edge.x0 - 1 and box.x1 < edge.x1 + 1, text
        assert box.y0 > edge.y0 - 1 and box.y1 < edge.y1 + 1, text
    width, height = figure.get_size_inches()
    assert width == 8
    assert 3 < height < 6.5


@pytest.mark.parametrize("names", [DIGITS, CLOTHES], ids=["digits", "clothes"])
def test_no_label_lies_over_an_image(names):
    figure = rendered(result(names=names))
    right = figure.axes[1]
    frames = [path.get_extents(right.transData) for path in right.collections[0].get_paths()]
    assert len(frames) == 16
    renderer = figure.canvas.get_renderer()
    for text in right.texts:
        box = text.get_window_extent(renderer)
        for frame in frames:
            height = min(box.y1, frame.y1) - max(box.y0, frame.y0)
            width = min(box.x1, frame.x1) - max(box.x0, frame.x0)
            assert width < 1 or height < 1.5, text.get_text()


def stairs_of(axes):
    """Return the counts that are drawn, by color."""
    outlines = [patch for patch in axes.patches if not patch.get_fill()]
    return {tuple(patch.get_edgecolor()[:3]): patch.get_data() for patch in outlines}


@pytest.mark.parametrize("lowest", [0.0, -0.13, -1.0])
def test_every_example_is_counted_once_in_its_group(lowest):
    found = result(lowest=lowest)
    left = rendered(found).axes[0]
    drawn = stairs_of(left)
    assert set(drawn) == {to_rgb(COLORS["true"]), to_rgb(COLORS["random"])}
    for name, members in (("true", ~found.is_corrupted), ("random", found.is_corrupted)):
        counts, edges = drawn[to_rgb(COLORS[name])][:2]
        assert counts.sum() == members.sum()
        centers = (edges[:-1] + edges[1:]) / 2
        assert counts[np.abs(centers - 1).argmin()] == (found.scores[members] == 1).sum()
        assert left.get_xlim()[0] <= edges[0]
        assert left.get_xlim()[1] >= edges[-1]
    assert left.get_ylim()[1] > max(counts.max() for counts, *_ in drawn.values())


def test_the_text_says_how_many_there_are_of_each_and_how_memorized():
    found = result()
    wrong = found.scores[found.is_corrupted]
    text = rendered(found).axes[0].texts[1]
    assert text.get_text() == f"wrong label: 60, mean {wrong.mean():.2f}, 100% at least 0.5"
    assert text.get_color() == COLORS["random"]


def test_without_wrong_labels_none_are_mentioned():
    left, right = rendered(result(corrupted=0)).axes
    assert list(stairs_of(left)) == [to_rgb(COLORS["true"])]
    assert [text.get_text()[:11] for text in left.texts] == ["right label"]
    assert not any("true" in text.get_text() for text in right.texts)


def test_each_image_has_the_label_taught_and_the_true_one_if_that_is_another():
    found = result()
    shown = [text.get_text() for text in rendered(found).axes[1].texts]
    expected = []
    for place in found.most_memorized:
        taught, true = DIGITS[found.labels[place]], DIGITS[found.true_labels[place]]
        expected.append(taught if taught == true else f"{taught}, true {true}")
    assert shown == expected
    assert any("true" in text for text in shown)


def test_long_names_are_broken_and_cut_with_an_ellipsis():
    found = result(names=CLOTHES)
    shown = [text.get_text() for text in rendered(found).axes[1].texts]
    assert any("…" in text for text in shown)
    assert not all("…" in text for text in shown)
    for text, place in zip(shown, found.most_memorized, strict=True):
        taught, true = text.split("\n")
        assert CLOTHES[found.labels[place]].startswith(taught.removesuffix("…"))
        assert f"true {CLOTHES[found.true_labels[place]]}".startswith(true.removesuffix("…"))
        assert len(taught) > 2
        assert len(true) > 6


def test_the_pixels_drawn_are_those_of_the_images_in_order(gray_canvas):
    found = result()
    canvas = gray_canvas(rendered(found).axes[1].images[0])
    drawn = np.ma.masked_invalid(canvas).compressed()
    np.testing.assert_allclose(np.sort(drawn), np.sort(found.images.reshape(-1)), atol=2 / 255)
    top = int(np.flatnonzero((canvas >= 0).any(axis=1))[0])
    np.testing.assert_allclose(canvas[top : top + 28, :28], found.images[0], atol=2 / 255)


@pytest.mark.parametrize("n_most", [1, 2, 5])
def test_few_images_are_drawn_too(n_most):
    figure = rendered(result(n_most=n_most))
    assert overlaps(figure) == []
    assert len(figure.axes[1].texts) == n_most


def test_it_can_be_drawn_into_axes_of_another_figure():
    whole = Figure(figsize=(8, 10), layout="constrained", dpi=160)
    upper, lower = whole.subplots(2, 1)
    assert result(names=CLOTHES).plot(ax=upper) is upper
    result().plot(ax=lower)
    whole.savefig(io.BytesIO())
    FigureCanvasAgg(whole).draw()
    assert overlaps(whole) == []


def test_the_same_result_is_drawn_alike_after_loading(tmp_path):
    found = result()
    loaded = probe.load_result(probe.save_result(found, tmp_path / "scores.h5"), MemorizationScores)
    pictures = []
    for one in (found, loaded):
        memory = io.BytesIO()
        probe.plot(one).savefig(memory, dpi=40, metadata={"Software": None})
        pictures.append(memory.getvalue())
    assert pictures[0] == pictures[1]


def test_images_of_other_channels_are_refused():
    with pytest.raises(probe.InputError, match="1 or 3"):
        probe.plot(result((6, 6, 2)))


def test_scores_say_what_they_hold_in_few_lines_as_plain_values_and_as_a_table():
    found = result()
    assert repr(found).count("\n") < 5
    numbers = json.loads(json.dumps(found.to_dict()))
    right, wrong = numbers["groups"]
    assert (right["label"], wrong["label"], wrong["n"]) == ("right labels", "wrong labels", 60)
    assert wrong["mean"] == found.scores[found.is_corrupted].mean()
    assert right["shares"][1] == (found.scores[~found.is_corrupted] >= 0.9).mean()
    columns = found.columns()
    assert {len(column) for column in columns.values()} == {300}
    assert columns["label"][0] == DIGITS[found.labels[0]]


def test_the_page_says_how_many_scores_are_high_of_each_kind():
    section = Section(key="scores", results={"scores": (found := result())}).rendered()
    right = found.scores[~found.is_corrupted]
    assert section.claims[0].found == (
        f"{(right >= 0.5).mean():.1%} of the images with right labels have a score of 0.5 or more, "
        "and 100.0% of those with wrong labels."
    )
    row = f"right labels 240 {right.mean():.3f} {np.median(right):.3f} {(right >= 0.5).mean():.1%}"
    assert row in " ".join(re.sub(r"<[^>]*>", " ", section.html).split())
