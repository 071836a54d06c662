"""Units as text, such as "hidden_1:4"."""

from __future__ import annotations

from collections.abc import Sequence

from probe._checks import InputError
from probe.analyses.unit.measuring import Place, places
from probe.network import Network

__all__ = ["addressed", "listed"]

_SHOWN = 12
"""Layers that a message lists."""


def addressed(network: Network, text: str) -> tuple[Place, int]:
    """Return the place and the number of the unit that `text` names, as `unit_card` takes it.

    Raises
    ------
    InputError
        If there is none.
    """
    known = {place.layer: place for place in places(network)}
    if not known:
        raise InputError("the network must have a layer with weights, but has none")
    if text == "first":
        return next(iter(known.values())), 0
    layer, colon, number = text.rpartition(":")
    outputs = [place for place in known.values() if place.is_output]
    if layer not in known and text.startswith("class:") and outputs:
        names, name = network.unit_names(outputs[0].end), text.removeprefix("class:")
        if name in names:
            return outputs[0], names.index(name)
        layer = outputs[0].layer
        if not name.isdecimal():
            raise InputError(f"unit must be a class of this network, one of {_few(names)}; got {text!r}")
    if not colon or layer not in known:
        raise InputError(f"unit must be LAYER:UNIT, got {text!r}; this network has {listed(network)}")
    n_units = network.n_units(layer)
    if not (number.isascii() and number.isdecimal()) or int(number[:19]) >= n_units:
        raise InputError(
            f"unit must be {layer}:0 to {layer}:{n_units - 1}, the units of '{layer}', got {text!r}"
        )
    return known[layer], int(number)


def listed(network: Network) -> str:
    """Return the layers with weights and their units, in words."""
    found = [
        f"{place.layer}:0 to {place.layer}:{network.n_units(place.layer) - 1}" for place in places(network)
    ]
    return _few(found)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + ", ..." * (len(names) > _SHOWN)
