"""The picture of a unit's card: it draws what the card holds, and no text lies on another."""

from dataclasses import replace

import numpy as np
import planted
import pytest
from pictures import all_overlaps, cut_off, note, rendered

LONG = tuple(f"{'a class with a long name ' * 2}{k:02d}"[-40:] for k in range(20))

CASES = {
    "small": planted.unit_card(planted.numbered(10), (8, 8)),
    "digits": planted.unit_card(planted.numbered(10)),
    "colors": planted.unit_card(("red", "green", "blue"), (12, 12, 3)),
    "colors in an output": planted.unit_card(
        ("a", "b"), (12, 12, 3), kind="vector", weights=planted.normal(16), name="a"
    ),
    "twenty long names": planted.unit_card(LONG, (8, 8)),
    "a class of twenty": planted.unit_card(
        LONG, (8, 8), kind="vector", weights=planted.normal(8), name=LONG[4]
    ),
    "vector": planted.unit_card(planted.numbered(10), kind="vector", weights=planted.normal(16)),
    "one weight": planted.unit_card(("no", "yes"), (6, 6), kind="vector", weights=planted.normal(1)),
    "long vector": planted.unit_card(planted.numbered(10), kind="vector", weights=planted.normal(4096)),
    "no kernel": planted.unit_card(planted.numbered(10), kind="vector", weights=np.zeros(0)),
    "planes": planted.unit_card(planted.numbered(10), kind="planes", weights=planted.normal(40, 5, 5)),
    "few planes": planted.unit_card(planted.numbered(10), kind="planes", weights=planted.normal(2, 3, 3)),
    "wide": planted.unit_card(planted.numbered(10), (6, 40)),
    "two channels": planted.unit_card(
        planted.numbered(10), (9, 9, 2), kind="planes", weights=planted.normal(2, 9, 9)
    ),
    "a hundred classes": planted.unit_card(planted.numbered(100, "class number {}")),
    "zero": planted.unit_card(planted.numbered(3), (8, 8), weights=np.zeros((8, 8))),
    "a long layer": planted.unit_card(planted.numbered(10), layer="a_layer_with_a_very_long_name_" * 3),
}


@pytest.mark.parametrize("name", CASES)
def test_no_text_lies_on_another_or_leaves_the_picture(name):
    for card in (CASES[name], replace(CASES[name], standing=None, missing=("It is not known.",))):
        figure = rendered(card)
        assert all_overlaps(figure) == []
        assert cut_off(figure) == []


def titles(figure):
    return [axes.get_title("left") for axes in figure.axes]


def test_it_draws_weights_products_and_images_as_they_are():
    card = CASES["digits"]
    figure = rendered(card)
    weights, reference, products, favorite = figure.axes[:4]
    np.testing.assert_array_equal(weights.images[0].get_array(), card.weights)
    assert weights.images[0].get_clim() == (-card.weights_limit, card.weights_limit)
    np.testing.assert_array_equal(reference.images[0].get_array(), card.most.images[0])
    np.testing.assert_array_equal(products.images[0].get_array(), card.products)
    np.testing.assert_array_equal(favorite.images[0].get_array(), card.favorite)
    assert titles(figure)[2].endswith("sum 3.00 − 0.50 = 2.50")
    assert titles(figure)[3].endswith("4; at most 6")
    # The colors of all pictures of weights: red is positive, and blue is negative.
    assert weights.images[0].get_cmap().name == products.images[0].get_cmap().name == "RdBu_r"


def test_products_of_channels_are_added_and_the_note_says_so():
    card = CASES["colors"]
    figure = rendered(card)
    np.testing.assert_allclose(figure.axes[2].images[0].get_array(), card.products.sum(axis=2), rtol=1e-5)
    assert "channels are added" in note(figure) and "gray is zero" in note(figure)
    planes = CASES["planes"]
    np.testing.assert_allclose(
        rendered(planes).axes[2].images[0].get_array(), planes.products.sum(axis=0), rtol=1e-5
    )


def test_strips_have_the_class_and_the_value_above_each_image():
    card = replace(CASES["digits"], class_names=tuple("abcdefghij"))
    most = rendered(card).axes[4]
    assert [text.get_text() for text in most.texts] == [
        f"{letter}\n{value:.2f}" for letter, value in zip("abcdefghij", card.most.values, strict=True)
    ]


def test_bars_are_as_long_as_the_numbers_and_those_below_zero_are_hatched():
    card = CASES["digits"]
    figure = rendered(card)
    concepts, losses = figure.axes[6:8]
    assert [label.get_text() for label in concepts.get_yticklabels()] == ["much ink", "loop", "| top left"]
    found = {round(bar.get_y() + 0.35): (bar.get_width(), bool(bar.get_hatch())) for bar in concepts.patches}
    assert found == {
        0: (pytest.approx(-0.3), True),
        1: (pytest.approx(0.2), False),
        2: (pytest.approx(0.05), False),
    }
    widths = {round(bar.get_y() + 0.35): bar.get_width() for bar in losses.patches}
    np.testing.assert_allclose([widths[k] for k in range(10)], 100 * card.lost_by_class)
    assert losses.get_title("left") == "Lost without it: 10.0 (5.0 to 15.0) points"


def test_of_many_classes_those_that_change_most_are_shown():
    card = CASES["a hundred classes"]
    figure = rendered(card)
    losses = figure.axes[7]
    order = np.sort(np.argsort(-np.abs(card.lost_by_class), kind="stable")[:24])
    assert [label.get_text() for label in losses.get_yticklabels()] == [f"class number {k}" for k in order]
    assert "the 24 of 100 classes that change most" in note(figure)


def test_the_unit_is_a_line_among_the_quantiles_of_each_group():
    card = CASES["digits"]
    for k, axes in enumerate(rendered(card).axes[8:]):
        (line,) = axes.lines
        assert line.get_xdata()[0] == pytest.approx(card.standing.values[0, k])
        thin = axes.collections[0].get_segments()[0]
        np.testing.assert_allclose(thin[:, 0], card.standing.quantiles[0, k, [0, 4]])
        assert [text.get_text() for text in axes.texts] == [
            f"{share:.0%}" for share in card.standing.percentiles[:, 0, k]
        ]


def test_what_the_card_does_not_have_is_said():
    card = replace(CASES["digits"], favorite=None, favorite_value=np.nan, standing=None, missing=("Why.",))
    figure = rendered(card)
    assert titles(figure)[3] == "its favorite\nnot looked for"
    assert len(figure.axes) == 8 and note(figure).endswith("Why.")
    unbounded = rendered(replace(CASES["digits"], favorite_upper=np.inf))
    assert titles(unbounded)[3].endswith("no bound known")
