"""What a network computes: values forward, gradients back, and objectives."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, check_integer
from probe._graph import Node
from probe._inputs import Inputs, checked_inputs
from probe._signatures import checked
from probe._structure import Structure
from probe.layers import ACTIVATIONS, Pullback, softmax
from probe.objectives import AnyObjective, Combination, LayerTerms, Objective, Stage, Term, unit

__all__ = ["Evaluation"]


class Evaluation(Structure):
    """A network as a function of its inputs."""

    __slots__ = ()

    def logits(self, x: Inputs) -> Array:
        """Return the pre-activations of the output layer, of shape (n_samples, *shape of its output), for `x`.

        That is the last layer that computes something: a Dropout or a Flatten after it does not count.

        Parameters
        ----------
        x : ndarray of shape (n_samples, *input_shape), float
            Inputs, finite and in the range that the network was trained on; if there are several inputs, a tuple or
            list of arrays in their order, or a mapping from `input_names`.
        """
        head = self._head
        values = self._graph.values(self._inputs(x), [(head, "pre_activation")])[head, "pre_activation"]
        return self.after_head(values)[0]

    @checked
    def logits_without(self, x: Inputs, layer: str, units: Sequence[int], constants: Array) -> Array:
        """Return the logits for `x` with a constant in place of one unit of a hidden layer, for one unit after the other.

        Only what follows the layer is computed anew.

        Parameters
        ----------
        x : ndarray of shape (n_samples, *input_shape), float
            As in `logits`.
        layer : str
            A hidden layer of units or feature maps.
        units : sequence of int
            The units, or channels.
        constants : ndarray of shape (len(units),)
            What each is replaced by; a channel everywhere in its map.

        Returns
        -------
        ndarray of shape (len(units), n_samples, *shape of the output)
            Row k without `units[k]`.

        Raises
        ------
        InputError
            If there is no such layer, it is the output, it has no units, or there is no such unit.

        Examples
        --------
        >>> from probe import Network
        >>> from probe.layers import Dense
        >>> network = Network((Dense("a", np.eye(2), np.zeros(2)), Dense("b", np.ones((2, 1)), np.zeros(1))), (2,))
        >>> network.logits_without(np.array([[1.0, 5.0]]), "a", [0, 1], np.array([0.0, 2.0]))[:, 0, 0]
        array([5., 3.])
        """
        graph, head, index = self._graph, self._head, self._index(layer)
        axis, n_units = 1 + self.channel_axis(layer), self.n_units(layer)
        if index == head:
            raise InputError(f"layer must be a hidden one, got '{layer}', which is the output")
        for each in units:
            check_integer("units", each, minimum=0, maximum=n_units - 1)
        if len(constants) != len(units):
            raise InputError(f"constants must be one for each of {len(units)} units, got {len(constants)}")
        inputs = self._inputs(x)
        node: Node = (head, "pre_activation")
        found = np.empty((len(units), len(inputs[0]), *graph.shapes[self.head_name]), self.dtype)
        needed: list[Node] = [(each, "activation") for each in (index, *graph.beside(index, head))]
        for rows in graph.parts(len(inputs[0])):
            part = [values[rows] for values in inputs]
            known = {each: values for (each, _), values in graph.values(part, needed).items()}
            whole = known[index]
            for row, (which, constant) in enumerate(zip(units, constants, strict=True)):
                known[index] = whole.copy()
                np.moveaxis(known[index], axis, 0)[which] = constant
                found[row, rows] = graph.values(part, [node], known)[node]
        return np.stack([self.after_head(values)[0] for values in found]) if len(units) else found

    def logits_vjp(self, x: Array) -> tuple[Array, Pullback]:
        """Return the logits for `x`, and the way back from them to the inputs.

        Parameters
        ----------
        x : ndarray of shape (n_samples, *input_shape), float
            Inputs, in the range that the network was trained on.

        Returns
        -------
        logits : ndarray of shape (n_samples, n_classes)
            The same as from `logits`.
        pullback : callable
            Maps dC/dlogits, of the shape of `logits`, to dC/dx, of the shape of `x`: for any cost C of a
            sample's logits the gradients of all samples in one sweep.

        Examples
        --------
        >>> from probe import Network
        >>> from probe.layers import Dense
        >>> kernel = np.array([[1.0, 0.0], [2.0, -1.0]], dtype=np.float32)
        >>> network = Network((Dense("output", kernel, kernel[0] * 0, "softmax"),), input_shape=(2,))
        >>> logits, pullback = network.logits_vjp(np.ones((1, 2), dtype=np.float32))
        >>> logits, pullback(np.array([[1, -1]], dtype=np.float32))
        (array([[ 3., -1.]], dtype=float32), array([[1., 3.]], dtype=float32))
        """
        self._single_input()
        head = self._head
        passes = self._graph.passes(self._inputs(x), [head])
        logits, to_head = self.after_head(passes[head].pre_activation)

        def to_inputs(gradient: Array) -> Array:
            return self._graph.input_gradient(passes, {(head, "pre_activation"): to_head(gradient)})

        return logits, to_inputs

    def after_head(self, values: Array) -> tuple[Array, Pullback]:
        """Return the logits from the pre-activations of the layer `head_name`, and the way back to these."""
        pullbacks = list[Pullback]()
        for index in self._tail():
            values, pullback = self.layers[index].pre_activation(values)
            pullbacks.append(pullback)

        def to_head(gradient: Array) -> Array:
            for pullback in reversed(pullbacks):
                gradient = pullback(gradient)
            return gradient

        return values, to_head

    def parameter_vjp(
        self, x: Array, learning: Container[str] | None = None
    ) -> tuple[Array, Callable[[Array], list[tuple[Array, Array]]]]:
        """Return the logits for `x`, and the way back from them to all that the network learned.

        Parameters
        ----------
        x : ndarray of shape (n_samples, *input_shape), float
            Inputs, in the range that the network was trained on.
        learning : container of str, optional
            Names of the layers whose gradients are wanted; all layers without.

        Returns
        -------
        logits : ndarray of shape (n_samples, n_classes)
            The same as from `logits`.
        pullback : callable
            Maps dC/dlogits, of the shape of `logits`, to pairs of an array of the network and the gradient of
            the sum of C over the samples with respect to it. An array that several layers share comes once for
            each of them: its gradient is the sum.
        """
        self._single_input()
        head, inputs = self._head, self._inputs(x)
        passes = self._graph.passes(inputs, [head])
        logits, to_head = self.after_head(passes[head].pre_activation)

        def to_learned(gradient: Array) -> list[tuple[Array, Array]]:
            seeds: dict[Node, Array] = {(head, "pre_activation"): to_head(gradient)}
            return self._graph.parameter_gradients(passes, inputs, seeds, learning)

        return logits, to_learned

    def outputs(self, x: Inputs) -> Array:
        """Return what the network puts out, of shape (n_samples, ...); Keras' `predict`."""
        index = self._output_index()
        return self._graph.values(self._inputs(x), [(index, "activation")])[index, "activation"]

    def all_outputs(self, x: Inputs) -> tuple[Array, ...]:
        """Return what each output of the network puts out, each of shape (n_samples, ...)."""
        nodes: list[Node] = [(self._index(name), "activation") for name in self.output_names]
        outputs = self._graph.values(self._inputs(x), nodes)
        return tuple(outputs[node] for node in nodes)

    def predict_proba(self, x: Array) -> Array:
        """Return the outputs in [0, 1], of shape (n_samples, n_classes).

        Those of a softmax layer sum to one; those of a sigmoid layer need not. For any other last
        activation these are the softmax of the logits. A single unit that puts out p, or the logit of p, gives
        1 - p and p.
        """
        self.check_classes()
        if self.is_one_unit:
            p = self._second_class(x)
            return np.stack([1 - p, p], axis=1)
        if self.output_name in ("softmax", "sigmoid"):
            return self.outputs(x)
        logits = self.logits(x)
        return softmax(logits, -1, np.empty_like(logits))

    def predict(self, x: Array) -> npt.NDArray[np.int64]:
        """Return the class with the largest logit for each input, of shape (n_samples,).

        Of a single unit that is 1 where the probability of the second class is above 0.5.
        """
        self.check_classes()
        if self.is_one_unit:
            return (self._second_class(x) > 0.5).astype(np.int64)
        return np.asarray(self.logits(x).argmax(axis=1), dtype=np.int64)

    def _second_class(self, x: Array) -> Array:
        """Return the probability of the second class (n_samples,) that a single unit gives."""
        if self.output_name == "sigmoid":
            return self.outputs(x)[:, 0]
        return ACTIVATIONS["sigmoid"].forward(self.logits(x)[:, 0])[0]

    def activations(self, x: Inputs) -> dict[str, Array]:
        """Return every layer's output for `x`, by layer name, in order.

        Each array has shape (n_samples, *shape of the layer's output).
        """
        return self._all_values(x, "activation")

    def pre_activations(self, x: Inputs) -> dict[str, Array]:
        """Return what every layer computes for `x` before its activation, by layer name, in order."""
        return self._all_values(x, "pre_activation")

    def stages(self, x: Inputs, layers: Sequence[str]) -> dict[str, tuple[Array, Array]]:
        """Return what some layers compute for `x` before and after their activation, by layer name, in one sweep.

        Arrays are those of `pre_activations` and `activations`; nothing else is kept.
        """
        indices = {name: self._index(name) for name in layers}
        both: tuple[Stage, Stage] = ("pre_activation", "activation")
        nodes = [(index, stage) for index in indices.values() for stage in both]
        values = self._graph.values(self._inputs(x), nodes)
        return {name: (values[index, both[0]], values[index, both[1]]) for name, index in indices.items()}

    def _all_values(self, x: Inputs, stage: Stage) -> dict[str, Array]:
        values = self._graph.values(self._inputs(x), [(index, stage) for index in range(len(self.layers))])
        return {name: values[index, stage] for index, name in enumerate(self.layer_names)}

    @checked
    def input_gradient(self, x: Array, objective: AnyObjective) -> Array:
        """Return the gradient of `objective` with respect to `x`, of the shape of `x`.

        Raises
        ------
        InputError
            If the network has no such layer, unit or class.
        """
        return self.objective_gradient(x, [objective] * len(np.atleast_1d(x)))[1]

    @checked
    def objective_gradient(self, x: Array, objectives: Sequence[AnyObjective]) -> tuple[Array, Array]:
        """Return the value of `objectives[i]` at `x[i]`, and its gradient with respect to `x[i]`.

        One sweep serves all objectives, whichever layers they are in.

        Parameters
        ----------
        x : ndarray of shape (n_samples, *input_shape), float
            Inputs.
        objectives : sequence of Objective or Combination, of length n_samples
            One for each input.

        Returns
        -------
        values : ndarray of shape (n_samples,)
        gradients : ndarray of the shape of `x`
        """
        self._single_input()
        inputs = self._inputs(x)
        if len(objectives) != len(inputs[0]):
            raise InputError(
                f"objectives must be one for each of {len(inputs[0])} inputs, got {len(objectives)}"
            )
        return self.objective_function(objectives)(inputs[0])

    @checked
    def objective_function(
        self, objectives: Sequence[AnyObjective]
    ) -> Callable[[Array], tuple[Array, Array]]:
        """Return the function of `x` that `objective_gradient` computes, to be called many times.

        Parameters
        ----------
        objectives : sequence of Objective or Combination, of length n_samples
            One for each input.

        Returns
        -------
        callable
            Maps `x`, of shape (n_samples, *input_shape) and of the network's type, to values and gradients.

        Raises
        ------
        InputError
            If the network takes several inputs, or has no such layer, unit or class.

        Examples
        --------
        >>> from probe import Network
        >>> from probe.layers import Dense
        >>> from probe.objectives import class_logit
        >>> kernel = np.array([[1.0, 0.0], [2.0, -1.0]], dtype=np.float32)
        >>> network = Network((Dense("output", kernel, kernel[0] * 0, "softmax"),), input_shape=(2,))
        >>> difference = network.objective_function([class_logit(0) - class_logit(1)])
        >>> difference(np.ones((1, 2), dtype=np.float32))
        (array([4.], dtype=float32), array([[1., 3.]], dtype=float32))
        """
        self._single_input()
        parts = [(rows, self._terms(objectives[rows])) for rows in self._graph.parts(len(objectives))]

        def evaluated(x: Array) -> tuple[Array, Array]:
            if len(parts) == 1:
                return self._part_gradient((x,), parts[0][1])
            values, gradients = np.empty(len(x), self.dtype), np.empty_like(x)

            def of_part(part: tuple[slice, Mapping[Node, LayerTerms]]) -> None:
                rows, terms = part
                values[rows], gradients[rows] = self._part_gradient((x[rows],), terms)

            for _ in self._graph.shared(of_part, parts):
                pass
            return values, gradients

        return evaluated

    @checked
    def objective_values(self, x: Array, objectives: Sequence[AnyObjective]) -> Array:
        """Return the value of every objective for every input, of shape (n_samples, n_objectives).

        Parameters
        ----------
        x : ndarray of shape (n_samples, *input_shape), float
            Inputs.
        objectives : sequence of Objective or Combination
            What to compute.

        Raises
        ------
        InputError
            If the network takes several inputs, or has no such layer, unit or class.
        """
        self._single_input()
        (x,) = self._inputs(x)
        values = np.zeros((len(x), len(objectives)), self.dtype)
        # A row of the batch stands for an objective: here it is a column of the values.
        terms = self._terms(objectives)
        for rows in self._graph.parts(len(x)):
            outputs = self._graph.values((x[rows],), list(terms))
            for node, at_node in terms.items():
                at_node.add_all_values(outputs[node], values[rows])
        return values

    def _part_gradient(
        self, inputs: tuple[Array, ...], terms: Mapping[Node, LayerTerms]
    ) -> tuple[Array, Array]:
        passes = self._graph.passes(inputs, [index for index, _ in terms])
        values = np.zeros(len(inputs[0]), self.dtype)
        gradients = {
            (index, stage): at_node.add_values(getattr(passes[index], stage), values)
            for (index, stage), at_node in terms.items()
        }
        return values, self._graph.input_gradient(passes, gradients)

    def _terms(self, objectives: Sequence[AnyObjective]) -> dict[Node, LayerTerms]:
        """Return the terms of objectives, one for each row of a batch, by the layer and stage that they are in."""
        by_node: dict[Node, list[Term]] = {}
        for row, objective in enumerate(objectives):
            for weight, term in self.terms_of(objective):
                index = self._head if term.layer is None else self._index(term.layer)
                by_node.setdefault((index, term.stage), []).append((row, weight, term))
        found = {}
        for (index, stage), terms in by_node.items():
            name = self.layers[index].name
            shape, axis = self._graph.shapes[name], self.channel_axis(name)
            found[index, stage] = LayerTerms.of(name, shape, axis, terms, is_last=index == self._head)
        return found

    def terms_of(self, objective: AnyObjective) -> tuple[tuple[float, Objective], ...]:
        """Return the weights and terms of `objective`; of a one-unit classifier with its unit in place of classes.

        Raises
        ------
        InputError
            If the network has no classes, but a term is one, or a single unit has no such class.

        Examples
        --------
        >>> from probe import Network
        >>> from probe.layers import Dense
        >>> from probe.objectives import class_logit
        >>> kernel = np.array([[1.0], [-2.0]], dtype=np.float32)
        >>> network = Network((Dense("output", kernel, kernel[0] * 0, "sigmoid"),), input_shape=(2,))
        >>> network.terms_of(class_logit(0))
        ((-0.5, Objective(layer='output', index=0, stage='pre_activation', position=None)),)
        """
        terms = objective.terms if isinstance(objective, Combination) else ((1.0, objective),)
        if any(term.layer is None for _, term in terms):
            self.check_classes()
        if not self.is_one_unit:
            return terms
        return tuple(
            (weight, term) if term.layer is not None else self._unit_term(weight, term)
            for weight, term in terms
        )

    def _unit_term(self, weight: float, term: Objective) -> tuple[float, Objective]:
        """Return the logit of one of two classes, as `with_two_logits` has it, as a multiple of the single unit."""
        if term.index > 1:
            raise InputError(f"class must be from 0 to 1, got {term.index}")
        if term.stage != "pre_activation":
            raise InputError("the classes of a single unit have logits only; pass network.with_two_logits()")
        return weight * (term.index - 0.5), unit(self.head_name, 0)

    def _tail(self) -> list[int]:
        """Return the indices after the head, up to the output: layers that pass their input on."""
        index, tail = self._output_index(), list[int]()
        while index != self._head:
            tail.append(index)
            index = self._graph.sources[index][0]
        return tail[::-1]

    def _inputs(self, x: Inputs) -> tuple[Array, ...]:
        return checked_inputs(x, self.input_names, self.input_shapes, self.dtype)
