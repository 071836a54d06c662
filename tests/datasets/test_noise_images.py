import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from probe._checks import InputError
from probe.datasets import gaussian_noise, norm_matched_noise, pixel_shuffled, uniform_noise

SHAPES = st.one_of(
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3)),
)
IMAGES = hnp.arrays(np.float32, SHAPES, elements=st.floats(0, 1, width=32))
SEEDS = st.integers(0, 2**32)


def norms(images):
    return np.linalg.norm(images.reshape(len(images), -1).astype(np.float64), axis=1)


def rng(seed=0):
    return np.random.default_rng(seed)


@settings(deadline=None)
@given(images=IMAGES, seed=SEEDS)
def test_all_noise_is_float32_in_the_unit_interval_and_repeatable(images, seed):
    makers = (
        lambda generator: uniform_noise(len(images), images.shape[1:], rng=generator),
        lambda generator: gaussian_noise(len(images), images, rng=generator),
        lambda generator: pixel_shuffled(images, rng=generator),
        lambda generator: norm_matched_noise(images, rng=generator),
    )
    before = images.copy()
    for make in makers:
        noise = make(rng(seed))
        assert noise.shape == images.shape
        assert noise.dtype == np.float32
        assert noise.min() >= 0
        assert noise.max() <= 1
        assert np.array_equal(noise, make(rng(seed)))
    assert np.array_equal(images, before)


@settings(deadline=None)
@given(images=IMAGES, seed=SEEDS)
def test_norms_match_whatever_the_brightness(images, seed):
    noise = norm_matched_noise(images, rng=rng(seed))
    assert norms(noise) == pytest.approx(norms(images), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("level", [0.0, 0.2, 0.57, 0.6, 0.9, 0.999, 1.0])
def test_norms_match_for_even_images(level):
    images = np.full((3, 28, 28), level, np.float32)
    noise = norm_matched_noise(images, rng=rng())
    assert norms(noise) == pytest.approx(norms(images), rel=1e-6)
    assert (noise.std() > 0) == (0 < level < 1)


def test_dark_images_get_plain_scaled_uniform_noise():
    noise = norm_matched_noise(np.full((1, 100, 100), 0.1), rng=rng())
    scaled = noise.ravel() / noise.max()
    assert stats.kstest(scaled, "uniform").pvalue > 0.01


def test_uniform_noise_is_uniform():
    assert stats.kstest(uniform_noise(10, (30, 30), rng=rng()).ravel(), "uniform").pvalue > 0.01


def test_gaussian_noise_has_the_moments_of_the_reference_before_clipping():
    reference = rng(1).normal(0.5, 0.05, (20, 10, 10))
    noise = gaussian_noise(500, reference, rng=rng())
    assert noise.mean() == pytest.approx(reference.mean(), abs=0.002)
    assert noise.std() == pytest.approx(reference.std(), abs=0.002)


def test_gaussian_noise_is_clipped_not_drawn_again():
    reference = np.zeros((2, 10, 10))
    reference[0] = 1.0  # mean 1/2, deviation 1/2: one in six falls below 0, one in six above 1
    noise = gaussian_noise(400, reference, rng=rng())
    assert np.mean(noise == 0) == pytest.approx(stats.norm.cdf(-1), abs=0.01)
    assert np.mean(noise == 1) == pytest.approx(stats.norm.cdf(-1), abs=0.01)


@settings(deadline=None)
@given(images=IMAGES, seed=SEEDS)
def test_shuffling_keeps_the_pixels_of_each_image(images, seed):
    def rows(array):
        pixels = array.reshape(len(array), array.shape[1] * array.shape[2], -1)
        return [sorted(map(tuple, image.tolist())) for image in pixels]

    assert rows(pixel_shuffled(images, rng=rng(seed))) == rows(images)


def test_every_image_is_shuffled_in_an_order_of_its_own():
    image = np.linspace(0, 1, 36).reshape(6, 6)
    shuffled = pixel_shuffled(np.stack([image, image]), rng=rng())
    assert not np.array_equal(shuffled[0], shuffled[1])
    assert not np.array_equal(shuffled[0], image.astype(np.float32))


@pytest.mark.parametrize(
    "make", [pixel_shuffled, norm_matched_noise, lambda x, rng: gaussian_noise(1, x, rng=rng)]
)
def test_references_that_are_no_images_are_refused(make):
    with pytest.raises(InputError, match=r"must have shape \(n, height, width\).* got \(3, 4\)"):
        make(np.zeros((3, 4)), rng=rng())
    with pytest.raises(InputError, match=r"must lie in \[0, 1\], got values from 2 to 2"):
        make(np.full((3, 4, 4), 2.0), rng=rng())
    with pytest.raises(InputError, match=r"rng must be a numpy.random.Generator"):
        make(np.zeros((3, 4, 4)), rng=None)


def test_sizes_that_are_no_sizes_are_refused():
    with pytest.raises(InputError, match="n_samples must be an integer of at least 1, got 0"):
        uniform_noise(0, (2, 2), rng=rng())
    with pytest.raises(InputError, match=r"each length in image_shape must be .* got -2"):
        uniform_noise(1, (2, -2), rng=rng())
    with pytest.raises(InputError, match=r"image_shape must be \(height, width\) or .* got \(4,\)"):
        uniform_noise(1, (4,), rng=rng())
    with pytest.raises(InputError, match=r"n_samples must be an integer of at least 1, got 1\.5"):
        gaussian_noise(1.5, np.zeros((1, 2, 2)), rng=rng())
