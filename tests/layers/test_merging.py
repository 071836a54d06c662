import re

import numpy as np
import pytest

from probe._checks import InputError
from probe.layers import Add, Average, Concatenate, Divide, Maximum, Merge, Minimum, Multiply, Subtract

RNG = np.random.default_rng(31)
A, B, C = (RNG.normal(size=(2, 3, 4)) for _ in range(3))


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Add("m"), A + B + C),
        (Multiply("m"), A * B * C),
        (Average("m"), (A + B + C) / 3),
        (Maximum("m"), np.maximum(np.maximum(A, B), C)),
        (Minimum("m"), np.minimum(np.minimum(A, B), C)),
        (Concatenate("m", 1), np.concatenate([A, B, C], 1)),
    ],
)
def test_a_merge_follows_its_name(layer, expected):
    y, pullback = layer.forward(A, B, C)
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    assert isinstance(layer, Merge)
    assert isinstance(pullback(y), tuple)
    assert len(pullback(y)) == 3


def test_subtract_is_the_first_less_the_second():
    np.testing.assert_array_equal(Subtract("m").forward(A, B)[0], A - B)


@pytest.mark.parametrize("kind", [Maximum, Minimum])
def test_the_gradient_of_a_tie_goes_to_the_first(kind):
    x = np.ones((1, 2))
    first, second = kind("m").forward(x, x.copy())[1](np.full((1, 2), 3.0))
    np.testing.assert_array_equal(first, [[3, 3]])
    np.testing.assert_array_equal(second, [[0, 0]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Add("m").output_shape((2,)), "takes at least 2 inputs, but gets 1"),
        (lambda: Subtract("m").output_shape((2,), (2,), (2,)), "takes exactly 2 inputs, but gets 3"),
        (lambda: Add("m").output_shape((2, 3), (2, 4)), "cannot merge inputs of shapes (2, 3), (2, 4)"),
        (lambda: Maximum("m").output_shape((2, 3), (2,)), "cannot merge inputs of shapes (2, 3), (2,)"),
        (lambda: Divide("m").output_shape((2,), (2,), (2,)), "takes exactly 2 inputs, but gets 3"),
        (lambda: Concatenate("m").output_shape((2, 3)), "takes at least 2 inputs, but gets 1"),
        (
            lambda: Concatenate("m").output_shape((2, 3), (3, 3)),
            "cannot join inputs of shapes (2, 3), (3, 3) along axis -1",
        ),
        (lambda: Concatenate("m", 0).output_shape((2,), (2,)), "axis 0 must be one of 1 to 1 or -1 to -1"),
        (lambda: Concatenate("m", 1.5), "must be an integer"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, message):
    with pytest.raises(InputError, match=f"layer 'm'.*{re.escape(message)}"):
        make()
