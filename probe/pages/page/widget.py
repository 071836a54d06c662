"""The living network of the page as a widget for notebooks."""

from __future__ import annotations

from typing import Any

from probe._checks import InputError
from probe.datasets import Split, load_dataset
from probe.network import Network
from probe.pages.page import module, styles
from probe.pages.page.encoding import why_not_alive
from probe.pages.page.payload import payload

__all__ = ["explorer"]

_INCLUDED: dict[tuple[int, ...], str] = {(28, 28): "mnist", (8, 8): "digits"}
"""Data that come with probe or scikit-learn, by the shape of their images."""


def explorer(network: Network, split: Split | None = None) -> Any:
    """Return a widget with the network alive: a pad to draw on, every layer, the outputs.

    Parameters
    ----------
    network : Network
        One that the page can compute.
    split : Split, optional
        Test images come from it; without, from MNIST or scikit-learn's digits, where they fit.

    Returns
    -------
    anywidget.AnyWidget

    Raises
    ------
    InputError
        If anywidget is not installed, no data fit, or the page cannot compute the network.
    """
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        raise InputError(
            "exploring a network needs anywidget: pip install 'hidden-layer-probe[notebook]'"
        ) from error
    if split is None:
        name = _INCLUDED.get(network.input_shape)
        if name is None or network.n_classes != 10:
            raise InputError(
                f"split must be given for a network of {network.n_classes} classes from {network.input_shape}: the data "
                "that come with probe are 28 x 28 and 8 x 8 digits"
            )
        split = load_dataset(name)
    why = why_not_alive(network)
    if why:
        raise InputError(f"network must be one that the page computes. {why}")
    # In its own shadow of the notebook there is no root and no body: the widget is both.
    style = styles().replace(":root", ":host").replace("\nbody {", "\n.page {")

    class Explorer(anywidget.AnyWidget):
        _esm = f"{module()}export default {{ render }};\n"
        payload = traitlets.Dict().tag(sync=True)
        style = traitlets.Unicode().tag(sync=True)

    return Explorer(payload=payload(network, split, {}, has_training_images=False), style=style)
