"""A trained network as a value: a graph of layers, with its logits, activations and input gradients.

Keras semantics: samples first, `x` of shape (n_samples, *input_shape), dense kernels (n_in, n_units).
"""

from __future__ import annotations

import math
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_number
from probe._evaluation import Evaluation
from probe._graph import Shape, split_output, with_second_unit
from probe._inputs import Inputs
from probe._signatures import checked
from probe.layers import Flatten, Layer, Normalization, Permute, Rescaling, Reshape

__all__ = ["Inputs", "Network"]


@checked
class Network(Evaluation):
    """A graph of layers: a value, from which other networks are derived.

    Parameters
    ----------
    layers : tuple of Layer
        In the order of evaluation, with distinct names. A layer that is called more than once is here more
        than once, under several names and with the same arrays.
    input_shape : tuple of int
        Shape of one input, such as (28, 28).
    class_names : tuple of str, optional
        One for each output; "0", "1", ... by default. A single sigmoid output is the probability of the second
        of two classes, and has two names. Two names for a single linear output say that it is the logit of the
        second class; without names it has no classes.
    wiring : tuple of tuple of (str or int), optional
        For each layer what it reads: names of layers, or k for the k-th input of the network. By default
        each layer reads the one before.
    output_names : tuple of str, optional
        The layers whose outputs are the network's; the last layer by default.
    more_input_shapes : tuple of tuple of int
        Shapes of the second input and the following; none by default. The analyses need a single input.
    input_names : tuple of str, optional
        One for each input; "input_1", "input_2", ... by default.
    is_regression : bool
        Whether the outputs are quantities and no classes; there are no class names then.

    Raises
    ------
    InputError
        If names repeat, a layer reads what is not there, shapes do not fit, or the number of class names
        is not that of the classes.

    Examples
    --------
    >>> from probe import Network
    >>> from probe.layers import Dense
    >>> kernel = np.eye(2, dtype=np.float32)
    >>> network = Network((Dense("output", kernel, kernel[0], "softmax"),), input_shape=(2,))
    >>> network
    Network from (2,) to (2,), 2 classes, 6 parameters
      layer   kind   output shape  parameters  activation
      output  Dense  (2,)                   6  softmax
    >>> network.logits(np.array([[0.5, 2.0]], dtype=np.float32))
    array([[1.5, 2. ]], dtype=float32)
    >>> network.predict(np.array([[0.5, 2.0]], dtype=np.float32))
    array([1])
    """

    __slots__ = ()

    @checked
    def with_input_shape(self, image_shape: Shape) -> Network:
        """Return this network for images of `image_shape`.

        Itself if that is its input shape. If it takes the same number of values in one axis, or the same
        image with an axis of one channel more or less, a layer in front reshapes the image row by row; if
        it takes the channels first, a layer in front moves them there.

        Raises
        ------
        InputError
            If images of this shape do not fit.
        """
        ours, theirs = self.input_shape, image_shape
        if ours == theirs:
            return self
        name = self._free_name("images")
        if len(ours) == 1 and ours[0] == math.prod(theirs) and min(theirs) > 0:
            return self.behind(Flatten(name), theirs)
        if ours in ((*theirs, 1), (1, *theirs)) or theirs in ((*ours, 1), (1, *ours)):
            return self.behind(Reshape(name, ours), theirs)
        if len(theirs) == 3 and ours == (theirs[2], *theirs[:2]):
            return self.behind(Permute(name, (3, 1, 2)), theirs)
        raise InputError(f"the network takes inputs of shape {ours}, but the images have shape {theirs}")

    @checked
    def with_input_range(self, low: float, high: float) -> Network:
        """Return this network for images in [0, 1], if it was trained on inputs in [low, high].

        A layer in front scales the images, so that everything that draws, optimizes or perturbs images
        in [0, 1] does what it should. The network itself if the range is [0, 1].

        Raises
        ------
        InputError
            If `low` is not below `high`.

        Examples
        --------
        >>> from probe import Network
        >>> from probe.layers import Dense
        >>> kernel = np.eye(2, dtype=np.float32)
        >>> network = Network((Dense("output", kernel, kernel[0] * 0),), input_shape=(2,))
        >>> network.with_input_range(-1, 1).logits(np.array([[0.0, 1.0]], dtype=np.float32))
        array([[-1.,  1.]], dtype=float32)
        """
        low, high = check_number("low", low), check_number("high", high)
        if not low < high:
            raise InputError(f"the range of the inputs must be from low to high, got {low:g} to {high:g}")
        if (low, high) == (0, 1):
            return self
        return self.behind(Rescaling(self._free_name("range"), high - low, low))

    def with_standardized_input(
        self, mean: float | tuple[float, ...], std: float | tuple[float, ...]
    ) -> Network:
        """Return this network for images in [0, 1], if it was trained on (image - mean) / std.

        Parameters
        ----------
        mean, std : float or tuple of float
            What the pixels were standardized with, for pixels in [0, 1]: one number, or one for each channel.

        Raises
        ------
        InputError
            If a number is not finite, `std` is not above 0, or the images do not have as many channels.

        Examples
        --------
        >>> from probe import Network
        >>> from probe.layers import Dense
        >>> kernel = np.eye(2, dtype=np.float32)
        >>> network = Network((Dense("output", kernel, kernel[0] * 0),), input_shape=(2,))
        >>> network.with_standardized_input(0.5, 0.25).logits(np.array([[0.0, 1.0]], dtype=np.float32))
        array([[-2.,  2.]], dtype=float32)
        """
        means, deviations = (
            np.array([check_number(name, one, **bounds) for one in np.atleast_1d(np.asarray(value, object))])
            for name, value, bounds in (("mean", mean, {}), ("std", std, {"above": 0}))
        )
        n_channels = max(len(means), len(deviations))
        if {len(means), len(deviations)} - {1, n_channels}:
            raise InputError(
                f"mean and std must have as many numbers as each other, got {len(means)} and {len(deviations)}"
            )
        name = self._free_name("standardized")
        if n_channels == 1:
            scale = float(1 / deviations[0])
            return self.behind(Rescaling(name, scale, float(-means[0] * scale)))
        shape = self.input_shape
        # Channels come first only where the last axis cannot be theirs.
        indices = ([3] if shape[2] in (1, 3) else [3, 1]) if len(shape) == 3 else []
        axis = next((index for index in indices if shape[index - 1] == n_channels), None)
        if axis is None:
            raise InputError(
                f"mean and std must be one number, or one for each channel; got {n_channels}, but the network takes "
                f"inputs of shape {shape}"
            )
        means, variances = (
            np.broadcast_to(values, n_channels).astype(self.dtype) for values in (means, deviations**2)
        )
        return self.behind(Normalization(name, means, variances, (axis,)))

    def for_logits(self) -> Network:
        """Return this network as a classifier, if its linear outputs are logits.

        A single output is the logit of the second of two classes. For a network whose file does not say so; what
        it computes stays the same.

        Raises
        ------
        InputError
            If the outputs are not linear, or no vector.

        Examples
        --------
        >>> from probe import Network
        >>> from probe.layers import Dense
        >>> kernel = np.array([[1.0], [-2.0]], dtype=np.float32)
        >>> network = Network((Dense("output", kernel, np.zeros(1, np.float32)),), input_shape=(2,))
        >>> network.n_classes, network.for_logits().n_classes
        (0, 2)
        >>> network.for_logits().predict(np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32))
        array([1, 0])
        """
        shape = self.layer_shapes[self.layer_names[self._output_index()]]
        if self.output_name != "linear" or len(shape) != 1:
            raise InputError(
                f"logits are linear outputs in one axis, but this network puts out {shape} of {self.output_name}; "
                "leave out --from-logits, or network.for_logits()"
            )
        names = self.class_names or tuple(str(k) for k in range(max(2, shape[0])))
        return replace(self, class_names=names, is_regression=False)

    def for_regression(self) -> Network:
        """Return this network as one whose outputs are quantities and no classes."""
        return replace(self, class_names=(), is_regression=True)

    def with_two_logits(self) -> Network:
        """Return the network with an output for each class that decides as this one does, if this has one unit.

        From the logit z of the second class come the logits -z/2 and z/2, and softmax makes of them 1 - p and p
        with p = sigmoid(z). This way both classes have something to maximize, and their difference is z. Layers
        keep their names; the last one with weights gets a second unit. Any other network is returned as it is.

        Examples
        --------
        >>> from probe import Network
        >>> from probe.layers import Dense
        >>> kernel = np.array([[1.0], [-2.0]], dtype=np.float32)
        >>> network = Network((Dense("output", kernel, kernel[0] * 0, "sigmoid"),), input_shape=(2,))
        >>> network.with_two_logits().logits(np.ones((1, 2), dtype=np.float32))
        array([[ 0.5, -0.5]], dtype=float32)
        """
        if not self.is_one_unit:
            return self
        output = self._output_index()
        layers = with_second_unit(self.layers, self._graph.sources, self._head, output)
        if layers is not None:
            return replace(self, layers=layers)
        names = [self._free_name(name) for name in ("first_logit", "second_logit", "logits", "classes")]
        layers, wiring = split_output(self.layers, self._head, self.layer_names[output], names)
        return replace(self, layers=layers, wiring=(*self.wiring, *wiring), output_names=(layers[-1].name,))

    def explore(self, split: Any = None) -> Any:
        """Return the network alive, as a widget for notebooks: draw, and watch every layer. Needs the extra `notebook`.

        Parameters
        ----------
        split : probe.Split, optional
            Data with images to show it; without, MNIST or scikit-learn's digits, where they fit.

        Returns
        -------
        anywidget.AnyWidget
            The last line of a cell shows it.

        Raises
        ------
        InputError
            If anywidget is not installed, no data fit, or the page cannot compute the network.
        """
        # Of a floor above, when it is asked for.
        return import_module("probe.pages.page.widget").explorer(self, split)

    @checked
    def truncate(self, layer: str) -> Network:
        """Return the part of this network that leads to `layer`, with the layer's output as its own.

        Raises
        ------
        InputError
            If there is no such layer.

        Examples
        --------
        >>> from probe import Network
        >>> from probe.layers import Dense
        >>> kernel = np.eye(2, dtype=np.float32)
        >>> layers = Dense("hidden", kernel, kernel[0], "relu"), Dense("output", kernel, kernel[0])
        >>> Network(layers, input_shape=(2,)).truncate("hidden").layer_names
        ('hidden',)
        """
        indices = self._graph.ancestors([self._index(layer)])
        is_output = self.output_names == (layer,)
        return Network(
            tuple(self.layers[index] for index in indices),
            self.input_shape,
            self.class_names if is_output else (),
            tuple(self.wiring[index] for index in indices),
            (layer,),
            self.more_input_shapes,
            self.input_names,
            self.is_regression and is_output,
        )

    def astype(self, dtype: npt.DTypeLike) -> Network:
        """Return this network with all its arrays in another type; layers that share some share them still."""
        made = dict[int, Array]()
        return replace(self, layers=tuple(layer.astype(dtype, made) for layer in self.layers))

    def behind(self, first: Layer, input_shape: Shape | None = None) -> Network:
        """Return this network with `first` between its input, of `input_shape`, and all that reads it.

        Raises
        ------
        InputError
            If the network takes several inputs, or `first` does not fit.
        """
        self._single_input()
        input_shape = self.input_shape if input_shape is None else input_shape
        wiring = (tuple(first.name if source == 0 else source for source in read) for read in self.wiring)
        return replace(self, layers=(first, *self.layers), input_shape=input_shape, wiring=((0,), *wiring))

    def without(self, layer: str) -> Network:
        """Return this network without `layer`: what read it reads what it read.

        Raises
        ------
        InputError
            If there is no such layer, it reads several, it is an output, or shapes do not fit then.
        """
        index = self._index(layer)
        if len(self.wiring[index]) > 1 or layer in self.output_names:
            raise InputError(f"layer '{layer}' must have one input and be no output, to be left out")
        (source,) = self.wiring[index]
        wiring = [tuple(source if name == layer else name for name in read) for read in self.wiring]
        return replace(
            self,
            layers=self.layers[:index] + self.layers[index + 1 :],
            wiring=tuple(wiring[:index] + wiring[index + 1 :]),
        )
