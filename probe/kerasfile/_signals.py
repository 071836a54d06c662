"""Layers of signals as Keras describes them: what their twins for images say, of signals as images of one row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from probe.kerasfile._config import LayerSpec, Shape
from probe.kerasfile._images import IMAGES
from probe.kerasfile._kinds import LayerKind, Reader, Settings, Variables, kind_for
from probe.layers import (
    LAYERS,
    Conv1D,
    Cropping2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    ZeroPadding2D,
)
from probe.layers.signals import Stretching

__all__ = ["SIGNALS"]

_WINDOW_SETTINGS = ("kernel_size", "pool_size", "strides", "dilation_rate", "size", "output_padding")
_MARGIN_SETTINGS = ("padding", "cropping")
_LISTED = ("kernel_size", "pool_size", "strides", "dilation_rate")
"""The settings that Keras writes as lists of one."""


def _as_image(spec: LayerSpec) -> LayerSpec:
    """Return the specification of the twin for images of one row."""
    config = dict(spec.config)
    for key in _WINDOW_SETTINGS:
        value: Any = config.get(key)
        if value is not None:
            sizes = value if isinstance(value, list) else [value]
            # No rows are added, and each window has one.
            config[key] = [0 if key == "output_padding" else 1, *sizes]
    for key in _MARGIN_SETTINGS:
        value = config.get(key)
        if isinstance(value, (int, list)) and not isinstance(value, bool):
            config[key] = [0, value]
    if config.get("padding") == "causal":
        # As many windows, and no more memory.
        config["padding"] = "same"
    return replace(spec, config=config)


def _is_first(spec: LayerSpec) -> bool:
    return spec.choice("data_format", ("channels_last", "channels_first")) == "channels_first"


def _image_shape(spec: LayerSpec, shape: Shape) -> Shape:
    if len(shape) != 2:
        spec.refuse(f"takes signals of two axes, but gets shape {shape}")
    return (shape[0], 1, shape[1]) if _is_first(spec) else (1, *shape)


def _narrowed(name: str, reader: Reader) -> Reader:
    """Return a reader of a setting of signals from that of its twin."""

    def read(spec: LayerSpec, shape: Shape) -> Any:
        value = reader(_as_image(spec), _image_shape(spec, shape))
        return value[1] if isinstance(value, tuple) and name in _WINDOW_SETTINGS + _MARGIN_SETTINGS else value

    return read


def _signal_kind(name: str, twin: LayerKind) -> LayerKind:
    """Return how to read and write the layer of signals `name`, whose twin for images is known."""

    def asked(function: Callable[[LayerSpec, Shape], Any]) -> Callable[[LayerSpec, Shape], Any]:
        return lambda spec, shape: function(_as_image(spec), _image_shape(spec, shape))

    def variables(spec: LayerSpec, shape: Shape) -> Variables:
        found = asked(twin.variables)(spec, shape)  # type: ignore[arg-type]
        return {key: sizes[1:] if len(sizes) > 1 else sizes for key, sizes in found.items()}

    def output_shape(spec: LayerSpec, shape: Shape) -> Shape:
        found: Shape = asked(twin.output_shape)(spec, shape)  # type: ignore[arg-type]
        row = 1 if _is_first(spec) else 0
        return (*found[:row], *found[row + 1 :])

    layer: type[Layer] = LAYERS[name]
    readers = {key: _narrowed(key, reader) for key, reader in twin.settings.items()}
    readers = {key: reader for key, reader in readers.items() if key in layer.__dataclass_fields__}  # type: ignore[attr-defined]
    if layer is Conv1D:
        readers["padding"] = lambda spec, _shape: spec.choice("padding", ("valid", "same", "causal"))
    return LayerKind(
        layer,
        readers,
        write=_written(twin.write),
        variables=variables if twin.variables else None,
        output_shape=output_shape if twin.output_shape else None,
        buffer=asked(twin.buffer) if twin.buffer else None,
    )


def _written(write: Callable[[Any, Settings], Settings]) -> Callable[[Any, Settings], Settings]:
    return lambda layer, settings: {
        key: [value] if key in _LISTED and type(value) is int else value
        for key, value in write(layer, settings).items()
        # Of some Keras knows that their channels are last.
        if key != "data_format" or layer.channels_first or not isinstance(layer, Stretching)
    }


_TWINS = {
    **IMAGES,
    **{
        twin.__name__: kind_for(twin)
        for twin in (Cropping2D, GlobalAveragePooling2D, GlobalMaxPooling2D, ZeroPadding2D)
    },
}

SIGNALS: dict[str, LayerKind] = {
    prefix + name: _signal_kind(name, _TWINS[name.replace("1D", "2D")])
    for name, layer in LAYERS.items()
    if "1D" in name
    for prefix in (("", "probe>") if issubclass(layer, Stretching) else ("",))
}
"""How to read and write each of them, by the name that stands in files."""
