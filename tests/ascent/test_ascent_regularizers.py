"""Transforms: shifts bring in background, and an ascent averages over them."""

import numpy as np
import pytest
from scipy.ndimage import shift

import probe
from probe._checks import InputError
from probe.ascent import Shift, ascend


def test_shifts_are_all_there_once_and_bring_in_background():
    x = np.random.default_rng(0).random((2, 5, 6))
    found = [variant(x)[0] for variant in Shift(2).variants(np.random.default_rng(0))]
    places = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]
    assert len(found) == 25
    for image, (down, right) in zip(found, places, strict=True):
        np.testing.assert_allclose(image, shift(x, (0, down, right), order=0, cval=0), atol=1e-12)


def test_the_way_back_is_the_adjoint():
    rng = np.random.default_rng(1)
    x, gradient = rng.normal(size=(2, 3, 5, 4, 2))
    for variant in Shift(2).variants(rng):
        seen, back = variant(x)
        assert (seen * gradient).sum() == pytest.approx((x * back(gradient)).sum())


def test_an_ascent_climbs_the_mean_over_the_shifts(trained):
    found = ascend(trained, [probe.class_logit(3)], restarts=2, steps=15, transform=Shift(1))
    variants = Shift(1).variants(np.random.default_rng(0))
    for restart in range(2):
        image = found.images[0, restart][None]
        seen = np.concatenate([variant(image)[0] for variant in variants])
        mean = trained.logits(seen)[:, 3].mean()
        assert found.traces[0, restart, -1] == pytest.approx(mean, rel=1e-5)
        assert found.values[0, restart] == pytest.approx(trained.logits(image)[0, 3], rel=1e-6)
    assert (np.diff(found.traces, axis=2) >= 0).all()


def test_an_image_that_was_made_for_shifts_loses_less_by_them(trained):
    objectives = [probe.class_logit(k) for k in range(10)]

    def loss(transform):
        images = ascend(trained, objectives, restarts=1, steps=60, transform=transform).images[:, 0]
        seen = [variant(images)[0] for variant in Shift(1).variants(np.random.default_rng(0))]
        return np.mean([trained.logits(one)[range(10), range(10)] for one in seen])

    assert loss(Shift(1)) > loss(None) + 0.5


def test_some_shifts_can_be_drawn():
    one, other = (Shift(2, draws=4).variants(np.random.default_rng(seed)) for seed in (0, 1))
    assert len(one) == len(other) == 4
    assert Shift(2, draws=4).name == "shifts by up to 2 pixels, 4 of them drawn"


def test_what_cannot_be_shifted_is_refused(trained):
    with pytest.raises(InputError, match=r"pixels must be below the side of the images \(8, 8\), got 8"):
        ascend(trained, [probe.class_logit(0)], transform=Shift(8))
    with pytest.raises(InputError, match="draws must be an integer from 1 to 9, got 10"):
        Shift(1, draws=10)
    flat = trained.truncate("hidden_1").layers[-1]
    network = probe.Network((flat,), (64,))
    with pytest.raises(InputError, match=r"shifts need images, but the network takes inputs of \(64,\)"):
        ascend(network, [probe.class_logit(0)], transform=Shift(1))
