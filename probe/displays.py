"""Displays in scikit-learn's convention: an analysis and its picture in one call, with the artists at hand.

A display computes and draws nothing itself. `from_network` calls the analysis, and `probe.plot` draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from probe._checks import InputError, brief
from probe._signatures import checked
from probe.analyses.landscape import Landscape, landscape
from probe.analyses.memorization import Memorization, memorization
from probe.analyses.noise import NoiseConfidence, noise_confidence
from probe.analyses.weights import WeightImages, weight_images
from probe.controls import architecture_of
from probe.datasets import Split
from probe.figures import plot
from probe.network import Network
from probe.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["LandscapeDisplay", "MemorizationDisplay", "NoiseDisplay", "WeightImagesDisplay"]


@checked
def _memorization(network: Network, split: Split, **options: Any) -> Memorization:
    """Return how networks of the layers of this one memorize."""
    architecture = architecture_of(network)
    if architecture is None:
        raise InputError(
            "network must be a chain of dense layers with one activation, to train others like it"
        )
    return memorization(architecture, split, **options)


class _Display:
    result_type: ClassVar[type[Result]]
    analysis: ClassVar[Callable[..., Result]]

    def __init__(self, result: Any) -> None:
        if not isinstance(result, self.result_type):
            raise InputError(f"result must be a {self.result_type.__name__}, got {brief(result)}")
        self.result = result

    @classmethod
    def from_network(
        cls, network: Network, *data: Any, ax: Axes | None = None, plot_kw: Any = None, **options: Any
    ) -> Self:
        """Call the analysis on a network, and draw what it returns.

        Parameters
        ----------
        network : Network
            A network; of a `NetworkClassifier` for flattened images `network_.with_input_shape((height, width))`.
        *data
            What else the analysis needs, as the class says.
        ax : matplotlib Axes, optional
            As in `plot`.
        plot_kw : mapping, optional
            Further arguments of `plot`, such as `part` or `cmap`.
        **options
            Keyword arguments of the analysis, such as `seed`.

        Returns
        -------
        Display
            Drawn.

        Raises
        ------
        InputError
            If an argument does not fit.
        """
        if plot_kw is not None and not isinstance(plot_kw, Mapping):
            raise InputError(f"plot_kw must be a mapping of arguments of plot, got {brief(plot_kw)}")
        return cls(cls.analysis(network, *data, **options)).plot(ax, **(plot_kw or {}))

    def plot(self, ax: Axes | None = None, *, part: str | None = None, **style: Any) -> Self:
        """Draw the result, as `probe.plot` does.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a picture of several panels divides its place. Without, a new figure, which pyplot does not
            know of: a notebook shows it where the display is the last line, and `figure_.savefig(path)` writes it.
        part : str, optional
            Which picture of a result with several, one of `probe.figures.parts_of(result)`; the first without.
        **style
            Options of the picture.

        Returns
        -------
        Display
            Itself.

        Raises
        ------
        InputError
            If there is no such part or option, or `ax` is no Axes.
        """
        before = set() if ax is None else set(getattr(getattr(ax, "figure", None), "axes", ()))
        drawn: Any = plot(self.result, part=part, ax=ax, **style)
        self.figure_: Figure = drawn.figure.figure
        # Several panels in the place of an `ax` are new axes, and it stays empty.
        self.axes_ = tuple(
            axes for axes in self.figure_.axes if axes not in before or (axes is drawn and axes.has_data())
        )
        self.ax_: Axes = self.axes_[0] if ax is None else drawn
        self.images_, self.lines_, self.collections_, self.text_ = (
            tuple(artist for axes in self.axes_ for artist in getattr(axes, kind))
            for kind in ("images", "lines", "collections", "texts")
        )
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.result!r})"

    def _repr_png_(self) -> Any:
        """Return the picture as a notebook shows it; None before it is drawn, and for axes of the caller's."""
        shown = getattr(getattr(self, "figure_", None), "_repr_png_", None)
        return None if shown is None else shown()


class WeightImagesDisplay(_Display):
    """The weights into every unit of a layer as images: `from_network(network, layer="first")`.

    Parameters
    ----------
    result : WeightImages
        What `probe.weight_images` returned.

    Attributes
    ----------
    figure_, ax_ : matplotlib Figure and Axes
        What was drawn into; `ax_` is the first of several panels in a figure of their own.
    axes_ : tuple of matplotlib Axes
        All axes of the picture.
    images_, lines_, collections_, text_ : tuple of matplotlib Artist
        What was drawn into them.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> network = probe.train(probe.MLP((5,)), split, probe.TrainingConfig(epochs=1)).network
    >>> display = WeightImagesDisplay.from_network(network, plot_kw={"cmap": "PuOr"})
    >>> len(display.images_), len(display.text_)
    (1, 5)
    """

    result_type = WeightImages
    analysis = staticmethod(weight_images)


class NoiseDisplay(_Display):
    """How sure a network is of noise: `from_network(network, split)`, with the options of `probe.noise_confidence`.

    Parameters
    ----------
    result : NoiseConfidence
        What `probe.noise_confidence` returned.

    Attributes
    ----------
    figure_, ax_, axes_, images_, lines_, collections_, text_
        As of `WeightImagesDisplay`.
    """

    result_type = NoiseConfidence
    analysis = staticmethod(noise_confidence)


class MemorizationDisplay(_Display):
    """Networks like this one on true and on random labels: `from_network(network, split)`.

    The network says which layers are trained, the options are those of `probe.memorization`.

    Parameters
    ----------
    result : Memorization
        What `probe.memorization` returned.

    Attributes
    ----------
    figure_, ax_, axes_, images_, lines_, collections_, text_
        As of `WeightImagesDisplay`.
    """

    result_type = Memorization
    analysis = staticmethod(_memorization)


class LandscapeDisplay(_Display):
    """The cost around a network: `from_network(network, split)`, with the options of `probe.landscape`.

    Parameters
    ----------
    result : Landscape
        What `probe.landscape` returned.

    Attributes
    ----------
    figure_, ax_, axes_, images_, lines_, collections_, text_
        As of `WeightImagesDisplay`.
    """

    result_type = Landscape
    analysis = staticmethod(landscape)
