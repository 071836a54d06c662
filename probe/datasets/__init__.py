"""Images with labels: the values, where they come from, and what can be done to them on purpose.

`load_dataset` reads the embedded MNIST, scikit-learn's digits, OpenML, or files of one's own into a
`Split` of two `Dataset`s. Noise images, corrupted labels and corrupted inputs are pure functions of
arrays and an `rng`.
"""

from probe.datasets._blocks import StoredImages, in_unit_range, levels_of
from probe.datasets._corruption import (
    INPUT_CORRUPTIONS,
    LABEL_CORRUPTIONS,
    InputCorruption,
    LabelCorruption,
    corrupted_inputs,
    gaussian_noise,
    norm_matched_noise,
    permuted_labels,
    pixel_shuffled,
    redrawn_labels,
    uniform_noise,
)
from probe.datasets._dataset import Dataset, Split, resized
from probe.datasets._named import MNIST_SHA256
from probe.datasets._sources import DataSource, is_named, load_dataset

__all__ = [
    "INPUT_CORRUPTIONS",
    "LABEL_CORRUPTIONS",
    "MNIST_SHA256",
    "DataSource",
    "Dataset",
    "InputCorruption",
    "LabelCorruption",
    "Split",
    "StoredImages",
    "corrupted_inputs",
    "gaussian_noise",
    "in_unit_range",
    "is_named",
    "levels_of",
    "load_dataset",
    "norm_matched_noise",
    "permuted_labels",
    "pixel_shuffled",
    "redrawn_labels",
    "resized",
    "uniform_noise",
]
