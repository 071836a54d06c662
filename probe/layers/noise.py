"""Layers that act in training only, and pass their input on at inference: dropout, noise and augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from probe._checks import check_choice, check_number
from probe._signatures import checked
from probe.layers._base import Rearranging

__all__ = ["Augmentation", "Dropout", "Noise"]


@checked
@dataclass(frozen=True, slots=True)
class Dropout(Rearranging):
    """Dropout as it is at inference: it passes its input on. `rate`, in [0, 1], is kept for the file."""

    is_elementwise = is_channelwise = True

    name: str
    rate: float

    def __post_init__(self) -> None:
        check_number(f"rate of layer '{self.name}'", self.rate, minimum=0, maximum=1)


@checked
@dataclass(frozen=True, slots=True)
class Noise(Rearranging):
    """A layer that acts in training only; at inference it passes its input on.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    kind : str
        Its class in Keras: one of `Noise.KINDS`.
    rate : float
        Its setting, kept for the file: the share dropped, the standard deviation (GaussianNoise) or the
        factor of the absolute values (ActivityRegularization). At least 0.
    l2 : float
        The factor of the squares, for ActivityRegularization. At least 0.
    """

    is_elementwise = is_channelwise = True

    KINDS: ClassVar[dict[str, str]] = {
        "ActivityRegularization": "l1",
        "AlphaDropout": "rate",
        "GaussianDropout": "rate",
        "GaussianNoise": "stddev",
        "SpatialDropout1D": "rate",
        "SpatialDropout2D": "rate",
        "SpatialDropout3D": "rate",
        "StochasticDepth": "drop_path_rate",
    }

    name: str
    kind: str
    rate: float
    l2: float = 0.0

    def __post_init__(self) -> None:
        check_choice(f"kind of layer '{self.name}'", self.kind, self.KINDS)
        maximum = 1 if self.KINDS[self.kind] in ("rate", "drop_path_rate") else None
        check_number(f"{self.KINDS[self.kind]} of layer '{self.name}'", self.rate, minimum=0, maximum=maximum)
        check_number(f"l2 of layer '{self.name}'", self.l2, minimum=0)

    @property
    def is_in_keras(self) -> bool:  # type: ignore[override]
        """Whether it is one of Keras' own layers, not of one of its applications."""
        return self.kind != "StochasticDepth"

    @property
    def keras_name(self) -> str:
        """The kind."""
        return self.kind if self.is_in_keras else f"probe>{self.kind}"

    @property
    def settings(self) -> dict[str, float]:
        """The settings by the names that Keras gives them."""
        settings = {self.KINDS[self.kind]: self.rate}
        return settings | ({"l2": self.l2} if self.kind == "ActivityRegularization" else {})


@checked
@dataclass(frozen=True, slots=True)
class Augmentation(Rearranging):
    """A layer that changes images at random in training; at inference it passes them on.

    Parameters
    ----------
    name : str
        The layer's name in its network.
    kind : str
        Its class in Keras: one of `Augmentation.KINDS`.
    settings : str
        Its settings as JSON, kept for the file.
    """

    is_elementwise = is_channelwise = True

    KINDS: ClassVar[tuple[str, ...]] = (
        "AugMix",
        "CutMix",
        "MixUp",
        "RandAugment",
        "RandomBrightness",
        "RandomColorDegeneration",
        "RandomColorJitter",
        "RandomContrast",
        "RandomElasticTransform",
        "RandomErasing",
        "RandomFlip",
        "RandomGaussianBlur",
        "RandomGrayscale",
        "RandomHeight",
        "RandomHue",
        "RandomInvert",
        "RandomPerspective",
        "RandomPosterization",
        "RandomRotation",
        "RandomSaturation",
        "RandomSharpness",
        "RandomShear",
        "RandomTranslation",
        "RandomWidth",
        "RandomZoom",
    )

    name: str
    kind: str
    settings: str = "{}"

    def __post_init__(self) -> None:
        check_choice(f"kind of layer '{self.name}'", self.kind, self.KINDS)

    @property
    def keras_name(self) -> str:
        """The kind."""
        return self.kind
