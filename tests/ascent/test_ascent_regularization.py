"""What a step of the parameters does to the image, by matrices; and shifts, which bring in background."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d, shift

import probe
from probe._checks import InputError
from probe.ascent import Blurred, Fourier, Pixels, Shift, ascend

ALL = {
    "pixels": Pixels(),
    "fourier": Fourier(),
    "steep fourier": Fourier(2.0),
    "blurred": Blurred(),
    "very blurred": Blurred(3.0),
}


def matrix(parameterization, shape):
    """Return the map of gradients to images, column by column."""
    n = int(np.prod(shape))
    return parameterization.spread(np.eye(n).reshape(n, *shape)).reshape(n, n).T


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", [(5, 6), (4, 3, 2), (1, 7)])
def test_a_step_follows_the_gradient(name, shape):
    # The map of a gradient to a step is A @ A.T: symmetric, and never against the gradient.
    found = matrix(ALL[name], shape)
    np.testing.assert_allclose(found, found.T, atol=1e-12)
    assert np.linalg.eigvalsh(found).min() > -1e-12


@pytest.mark.parametrize("decay", [0.0, 1.0, 1.7])
def test_fourier_coefficients_are_divided_by_a_power_of_their_frequency(decay):
    height, width = 6, 9
    row, column = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    frequency = np.maximum(np.hypot(row, column), 1 / max(height, width))
    gradient = np.random.default_rng(0).normal(size=(2, height, width))
    expected = np.fft.ifft2(np.fft.fft2(gradient) * frequency ** (-2 * decay)).real
    found = Fourier(decay).spread(gradient)
    np.testing.assert_allclose(found / found[0, 0, 0], expected / expected[0, 0, 0], rtol=1e-9)


def test_a_blur_is_gaussian():
    image = np.zeros((1, 15, 15))
    image[0, 6, 8] = 1
    once = gaussian_filter1d(gaussian_filter1d(image[0], 1.2, 0, mode="constant", truncate=20), 1.2, 1,
                             mode="constant", truncate=20)  # fmt: skip
    twice = gaussian_filter1d(gaussian_filter1d(once, 1.2, 0, mode="constant", truncate=20), 1.2, 1,
                              mode="constant", truncate=20)  # fmt: skip
    np.testing.assert_allclose(Blurred(1.2).spread(image)[0], twice, atol=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_starts_have_the_mean_and_the_contrast_of_uniform_noise(name):
    start = ALL[name].start(np.random.default_rng(0), 200, (12, 12))
    assert start.mean() == pytest.approx(0.5, abs=0.01)
    assert start.std() == pytest.approx(12**-0.5, abs=0.01)


def test_low_frequencies_make_neighbors_alike(trained):
    def roughness(parameterization):
        objectives = [probe.class_logit(k) for k in range(10)]
        images = ascend(trained, objectives, steps=40, parameterization=parameterization).images
        return np.abs(np.diff(images, axis=-1)).mean()

    pixels, fourier, blurred = (roughness(ALL[name]) for name in ("pixels", "fourier", "very blurred"))
    assert fourier < 0.8 * pixels
    assert blurred < 0.5 * pixels


@pytest.mark.parametrize("name", ALL)
def test_every_parameterisation_climbs(trained, name):
    objectives = [probe.class_logit(k) for k in range(10)]
    found = ascend(trained, objectives, restarts=2, steps=40, parameterization=ALL[name])
    assert (np.diff(found.traces, axis=2) >= 0).all()
    assert (found.values > found.start_values + 1).all()
    assert found.images.min() >= 0
    assert found.images.max() <= 1


@pytest.mark.parametrize("parameterization", [Fourier(), Blurred()])
def test_neighbors_need_images(parameterization):
    network = probe.Network((probe.layers.Dense("o", np.ones((4, 2)), np.zeros(2)),), (4,))
    with pytest.raises(InputError, match=r"images, but the network takes inputs of \(4,\)"):
        ascend(network, [probe.class_logit(0)], parameterization=parameterization)


def test_settings_out_of_range_are_refused():
    with pytest.raises(InputError, match="decay must be a finite number at least 0, got -1"):
        Fourier(-1)
    with pytest.raises(InputError, match="sigma must be a finite number above 0, got 0"):
        Blurred(0)


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
