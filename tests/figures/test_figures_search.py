"""Figure of architecture search: drawn is what the result holds, and no name lies over a mark or another name."""

import io
from dataclasses import replace

import numpy as np
import planted
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from pictures import all_overlaps, all_texts, cut_off, note, rendered

import probe
from probe.analyses.search import ArchitectureSearch, SearchCandidate, SearchFront, SearchRung


def synthetic(
    widths=(4, 16, 64),
    depths=(1, 2, 3),
    activations=("sigmoid", "tanh", "relu"),
    *,
    n_networks=5,
    n_rungs=3,
    best=0.03,
):
    """A search as it might come out: wider and later is better, down to an error of `best`."""
    rng = np.random.default_rng(0)
    shapes = [((w,) * d, a) for d in depths for w in widths for a in activations]
    shapes.append(((16, 16), "sigmoid"))
    candidates = []
    for place, (hidden, activation) in enumerate(dict.fromkeys(shapes)):
        mlp = probe.MLP(hidden, activation)
        rungs = n_rungs if hidden[0] == max(widths) or place == len(shapes) - 1 else 1 + place % n_rungs
        errors = best * (1 + 20 / hidden[0]) * (4.0 ** np.arange(n_rungs - 1, -1, -1))[:rungs]
        spread = np.exp(0.1 * rng.normal(size=(rungs, n_networks)))
        accuracy = 1 - np.minimum(errors[:, None] * spread, 0.9)
        flops = 6 * mlp.n_parameters(784, 10) * 1000 * 3 ** (rungs - 1)
        seconds = flops / 5e9 + 0.01 * len(hidden)
        candidates.append(
            SearchCandidate(
                hidden=hidden,
                activation=activation,
                cost="quadratic" if place % 2 else "cross-entropy",
                learning_rate=0.3,
                n_parameters=mlp.n_parameters(784, 10),
                role="candidate",
                finalist=rungs == n_rungs,
                n_epochs=3 ** (rungs - 1),
                training_flops=flops,
                training_seconds=seconds,
                validation_accuracy=accuracy,
                test_accuracy=accuracy[-1] - 0.002,
                failed=np.zeros(n_networks, bool),
            )
        )
    last = [k for k, c in enumerate(candidates) if c.n_rungs == n_rungs]
    fronts = [
        SearchFront(
            last_rung=front(candidates, last, name),
            all_rungs=front(candidates, range(len(candidates)), name),
        )
        for name in ("n_parameters", "training_seconds")
    ]
    rungs = tuple(
        SearchRung(
            n_epochs=3**k,
            n_candidates=sum(c.n_rungs > k for c in candidates),
            best_validation=max(c.validation for c in candidates),
        )
        for k in range(n_rungs)
    )
    chosen = max(last, key=lambda k: candidates[k].validation)
    reference = next(k for k in last if k != chosen or len(last) == 1)
    return ArchitectureSearch(
        candidates=tuple(candidates),
        rungs=rungs,
        best=chosen,
        reference=reference,
        by_parameters=fronts[0],
        by_seconds=fronts[1],
        training_samples=np.arange(800),
        validation_samples=np.arange(200),
        batch_size=100,
        n_test=100,
        chance=0.1,
        verdict=planted.verdict(),
    )


def front(candidates, places, name):
    best, found = -1.0, []
    for k in sorted(places, key=lambda k: (getattr(candidates[k], name), -candidates[k].validation)):
        if candidates[k].validation > best:
            found.append(k)
            best = candidates[k].validation
    return np.array(found)


def marks(axes, gid):
    """Return the places of marks, in data coordinates."""
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if line.get_gid() == gid]


def names(axes):
    return [text for text in axes.texts if isinstance(text, Annotation)]


def covered(figure):
    """Return names that lie over a mark of their panel."""
    renderer, found = figure.canvas.get_renderer(), []
    for axes in figure.axes[:2]:
        pixels = axes.transData.transform(
            [*marks(axes, "kept"), *marks(axes, "dropped"), *marks(axes, "test")]
        )
        for name in names(axes):
            # Of the words alone, not of the line to the mark.
            box = super(Annotation, name).get_window_extent(renderer)
            inside = (pixels > (box.x0, box.y0)) & (pixels < (box.x1, box.y1))
            if inside.all(axis=1).any():
                found.append(name.get_text())
    return found


ODD = [
    {},
    {"widths": (64,), "depths": (1,), "activations": ("relu",)},
    {"widths": (64,), "depths": (1,), "activations": ("relu",), "n_rungs": 1, "n_networks": 2},
    {"widths": (2, 4, 8, 16, 64, 256), "depths": (1, 2)},
    {"widths": (100, 110), "activations": ("hard_sigmoid_v2", "leaky_relu")},
    {"n_rungs": 6, "activations": ("tanh",)},
    {"best": 1e-5, "depths": (1,)},
    {"best": 0.5, "depths": (1,)},
]


@pytest.fixture(scope="module")
def usual():
    result = synthetic()
    return result, rendered(result)


@pytest.mark.parametrize("odd", ODD)
def test_names_lie_neither_over_each_other_nor_over_marks(odd, recwarn):
    result = synthetic(**odd)
    figure = rendered(result)
    assert all_overlaps(figure) == []
    assert covered(figure) == []
    assert cut_off(figure) == []
    assert not recwarn.list
    shown = [text for text, _ in all_texts(figure)]
    chosen = result.chosen.label.replace("quadratic", "quad.")
    assert shown.count(chosen) + shown.count(f"video: {chosen}") >= 2


def test_errors_stand_where_the_result_has_them(usual):
    result, figure = usual
    for axes, name in zip(figure.axes, ("n_parameters", "training_seconds"), strict=False):
        drawn = {(round(x, 9), round(y, 9)) for x, y in (*marks(axes, "kept"), *marks(axes, "dropped"))}
        low, high = axes.get_ylim()
        expected = {
            (round(getattr(c, name), 9), round(min(max(100 * (1 - c.validation), low), high), 9))
            for c in (result.candidates[k] for k in result.best_rates)
        }
        assert drawn == expected
        assert len(marks(axes, "kept")) == len(result.last_rung)
        assert axes.get_xscale() == axes.get_yscale() == "log"


def test_intervals_are_those_over_networks_and_tests_those_of_the_front(usual):
    result, axes = usual[0], usual[1].axes[0]
    ends = {tuple(np.round(lines.get_segments()[0][:, 1], 9)) for lines in axes.collections}
    intervals = [result.candidates[k].validation_interval() for k in result.last_rung]
    assert ends == {tuple(np.round([100 * (1 - i.high), 100 * (1 - i.low)], 9)) for i in intervals}
    drawn = [y for _, y in marks(axes, "test")]
    assert drawn == [100 * (1 - result.candidates[k].test) for k in result.by_parameters.last_rung]


def test_the_front_goes_down_in_steps_through_its_members(usual):
    result, figure = usual
    for axes, found in zip(figure.axes, (result.by_parameters, result.by_seconds), strict=False):
        lines = [line for line in axes.lines if line.get_gid() == "front"]
        for line, members in zip(lines, (found.all_rungs, found.last_rung), strict=True):
            errors = [100 * (1 - result.candidates[k].validation) for k in members]
            np.testing.assert_allclose(line.get_ydata(), [*errors, errors[-1]])
            assert (np.diff(line.get_ydata()) <= 0).all()
            assert line.get_drawstyle() == "steps-post"


def test_what_is_far_off_and_what_is_perfect_stand_on_the_edges_and_the_notes_say_so(usual):
    assert "wrong on more" not in note(usual[1])
    result = synthetic((8, 16), (1,), ("relu",), best=0.003)
    bad = replace(
        result.candidates[0], validation_accuracy=np.full((1, 5), 0.01), hidden=(1,), n_parameters=10**6
    )
    figure = rendered(replace(result, candidates=(*result.candidates, bad)))
    assert "Triangles: wrong on more." in note(figure)
    (triangle,) = [line for line in figure.axes[0].lines if line.get_marker() == "^"]
    assert triangle.get_ydata()[0] == figure.axes[0].get_ylim()[1]
    perfect = [
        replace(c, validation_accuracy=np.ones_like(c.validation_accuracy)) if k == result.best else c
        for k, c in enumerate(result.candidates)
    ]
    figure = rendered(replace(result, candidates=tuple(perfect)))
    assert "On the lower edge: no error." in note(figure)


def test_the_rungs_say_how_many_went_on(usual):
    result, axes = usual[0], usual[1].axes[2]
    assert [bar.get_width() for bar in axes.patches] == [rung.n_candidates for rung in result.rungs]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["1 epoch", "3 epochs", "9 epochs"]
    for text, rung in zip(axes.texts, result.rungs, strict=True):
        assert text.get_text().startswith(f"{rung.n_candidates} candidates, the best wrong on")


@pytest.mark.parametrize("shape", [(2, 1), (2, 2), (1, 1)])
def test_it_can_be_a_part_of_another_figure(shape, recwarn):
    whole = Figure(figsize=(12, 12), layout="constrained")
    axes = whole.subplots(*shape, squeeze=False)
    result = synthetic((64,), (1,), ("relu",))
    assert probe.plot(result, ax=axes[0, 0]) is axes[0, 0]
    whole.savefig(io.BytesIO())
    (part,) = whole.subfigs
    assert [len(marks(panel, "kept")) for panel in part.axes[:2]] == [len(result.last_rung)] * 2
    for panel in part.axes:
        assert part.bbox.containsx(panel.bbox.x0) and part.bbox.containsx(panel.bbox.x1)
        assert part.bbox.containsy(panel.bbox.y0) and part.bbox.containsy(panel.bbox.y1)
    assert not recwarn.list
