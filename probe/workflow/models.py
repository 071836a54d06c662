"""Model files: how they are read, what is in them, and how they are converted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from probe._checks import DataFileError, InputError
from probe._layout import input_layout
from probe.datasets import DataSource, Split
from probe.film import Film
from probe.fitting import for_data
from probe.imports import is_onnx, onnx_obstacles
from probe.interventions import apply_edits, read_edits
from probe.kerasfile import (
    Diagnosis,
    ModelFile,
    OpenShapeError,
    diagnose,
    foreign_file,
    open_model,
    read_provenance,
)
from probe.network import Network
from probe.pages import Report, Section
from probe.safeh5 import DamagedError, open_regular, printable
from probe.storage import load_network, save_network
from probe.workflow._contents import LINE, lines_of_file, lines_of_network
from probe.workflow._folder import Folder
from probe.workflow._owner import Owner
from probe.workflow._written import Written

__all__ = [
    "MODEL_FILES",
    "READ_AS_IT_IS",
    "Reading",
    "check_model_file",
    "convert_model",
    "edit_model",
    "for_shape",
    "inspect_model",
    "kept_film",
]

MODEL_FILES = (".h5", ".hdf5", ".keras")
"""How files are called that a network is written to."""

_KEPT = "inspect.txt"
"""Where an inspection is kept as text."""

_MOST_RECIPE = 1 << 20
"""Most bytes of a recipe of edits that are read."""

_OTHERS_SHOWN = 6
"""Problems of a file that are named beside the first."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a user says of a model file that the file does not say itself.

    Parameters
    ----------
    pixel_range : tuple of float
        Lowest and highest value of the inputs that the network was trained on. Data with float pixels outside [0, 1] have
        this range too.
    mean : tuple of float
        Mean that was subtracted from the inputs, in that range, in training: one number, or one for each channel.
    std : tuple of float
        Standard deviation that the inputs were divided by in training: one number, or one for each channel. Needs the mean.
    output : str, optional
        Layer to take as the output, for a network with several outputs.
    from_logits : bool
        The last layer is linear, and its outputs are logits. A single one is the logit of the second of two classes.
    architecture : Path, optional
        File with the layers, for a model file that holds weights only, or in place of its own layers: config.json, a
        .keras file or a whole model.
    replace : mapping of str to str
        What a layer computes that holds code or is not known, such as scale="x / 127.5 - 1": x, numbers, + - * / and
        functions such as relu(x). Repeat it for further layers.
    input_shape : tuple of int, optional
        Shape of one input, for a model file that leaves sizes open. By default that of the data.
    """

    pixel_range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    output: str | None = None
    from_logits: bool = False
    architecture: Path | None = None
    replace: Mapping[str, str] = field(default_factory=dict)
    input_shape: tuple[int, ...] | None = None

    def network(self, model: Path, image_shape: tuple[int, ...] | None = None) -> Network:
        """Return the network of the file, for images in [0, 1].

        Means of several channels need the `image_shape` where the network takes a row of values.
        """
        if bool(self.mean) != bool(self.std):
            raise InputError("--mean and --std must come together: inputs are (pixel - mean) / std")
        network = self._loaded(model, image_shape)
        if self.output is not None:
            network = network.truncate(self.output)
        if self.from_logits:
            network = network.for_logits()
        if image_shape is not None and max(len(self.mean), len(self.std)) > 1:
            network = network.with_input_shape(image_shape)
        if self.mean:
            network = network.with_standardized_input(self.mean, self.std)
        return network.with_input_range(*self.pixel_range)

    def _loaded(self, model: Path, image_shape: tuple[int, ...] | None) -> Network:
        """Return the network of the file, of the shape of the images where it has none of its own."""
        load = partial(load_network, model, architecture=self.architecture, replace=self.replace)
        try:
            return load(input_shape=self.input_shape)
        except OpenShapeError:
            if image_shape is None:
                raise
        return load(input_shape=image_shape)

    @contextmanager
    def open(self, model: Path) -> Iterator[ModelFile]:
        """Open the file, none of whose weights is read yet."""
        with open_model(
            model, architecture=self.architecture, replace=self.replace, input_shape=self.input_shape
        ) as file:
            yield file

    def for_data(self, model: Path, split: Split) -> Network:
        """Return the network of the file for data, with the units that it has; see `probe.fitting`."""
        return for_data(self.network(model, split.train.image_shape), split)

    def split(self, data: str | DataSource, images_in: Literal["auto", "memory"] = "memory") -> Split:
        """Return the data; float pixels of a file that are not in [0, 1] are scaled from the range to it.

        What is larger than memory is refused, unless `images_in` is "auto".
        """
        source = DataSource.of(data)
        try:
            return source.split(images_in=images_in)
        except DataFileError:
            if self.pixel_range == (0, 1):
                raise
            return source.split(self.pixel_range, images_in)


READ_AS_IT_IS = Reading()
"""A whole model, of one output and inputs in [0, 1]."""


def for_shape(network: Network, image_shape: tuple[int, ...] | None) -> Network:
    """Return `network` for images of the shape that the caller named, if any."""
    if image_shape is not None:
        return network.with_input_shape(image_shape)
    if len(network.input_shape) == 1:
        raise InputError(
            f"the network takes {network.input_shape[0]} values; pass --image-shape HEIGHT,WIDTH to say what image "
            f"they are, row by row"
        )
    layout, shape = input_layout(network), network.input_shape
    if len(shape) != 3 or layout == "channels_last":
        return network
    channels, height, width = shape
    if layout == "channels_first":
        return network.with_input_shape((height, width) if channels == 1 else (height, width, channels))
    if channels in (1, 3) and width not in (1, 3):
        raise InputError(
            f"the network takes inputs of shape {shape}, and no layer says where their channels are; pass --image-shape "
            f"{height},{width},{channels} if first, --image-shape {channels},{height},{width} if last"
        )
    return network


def kept_film(model: Path, network: Network, reading: Reading = READ_AS_IT_IS) -> Film | None:
    """Return the film in a model file, as one of `network`, which was read from it.

    None if there is none; also if another architecture took the place of the file's, or layers were changed that it shows.
    """
    if foreign_file(model) is not None:
        return None
    with reading.open(model) as file:
        film = file.film()
    with suppress(InputError):
        return None if film is None else film.of(network)
    return None


def convert_model(
    model: Path, to: Path, *, reading: Reading = READ_AS_IT_IS, overwrite: bool = False
) -> Written:
    """Write a network that can be read as a file that Keras and probe open: HDF5, or the .keras archive of Keras 3.

    Raises
    ------
    InputError
        If the model cannot be read, `to` has the ending of another kind of file, is the model itself or exists already, or
        Keras lacks something that a .keras file would have to hold.
    """
    check_model_file(to, "OUT", overwrite=overwrite, read=model)
    network = reading.network(model)
    provenance = read_provenance(model) | {"converted_from": model.name}
    kept = save_network(network, to, provenance=provenance, film=kept_film(model, network, reading))
    return Written((kept,), f"{len(network.layers)} layers, {network.n_parameters:,} parameters")


def edit_model(
    model: Path,
    edits: Path,
    *,
    reading: Reading = READ_AS_IT_IS,
    edited: Path | None = None,
    overwrite: bool = False,
) -> Written:
    """Write a network after the edits of a recipe, as the page of a report saves them, as a file that Keras opens.

    Parameters
    ----------
    model : Path
        The network: a chain of dense layers.
    edits : Path
        The recipe, in JSON; see `probe.read_edits`.
    reading : Reading
        What the model file does not say itself.
    edited : Path, optional
        File to write, .h5, .hdf5 or .keras; <model>-edited.h5 in the working directory by default.
    overwrite : bool
        Replace a file that is there already.

    Raises
    ------
    InputError
        If the model or the recipe cannot be read or do not fit each other, or the file has the ending of another kind, is
        the model itself or exists already.
    """
    to = Path(f"{model.stem}-edited.h5") if edited is None else edited
    check_model_file(to, "--out", overwrite=overwrite, read=model)
    network = reading.network(model)
    recipe = read_edits(_recipe_text(edits))
    changed = apply_edits(network, recipe)
    known = {name: fact for name, fact in read_provenance(model).items() if name != "history"}
    provenance = known | {
        "edited_from": model.name,
        "edits": [edit.to_dict() for edit in recipe],
    }
    kept = save_network(changed, to, provenance=provenance)
    n = len(recipe)
    return Written((kept,), f"{n:,} edit{'s' * (n != 1)}, {changed.n_parameters:,} parameters")


def _recipe_text(recipe: Path) -> str:
    shown = printable(recipe, 300)
    try:
        if recipe.stat().st_size > _MOST_RECIPE:
            raise InputError(f"{shown} has more than the {_MOST_RECIPE:,} bytes of a recipe that are read")
        with open_regular(recipe) as file:
            return file.read(_MOST_RECIPE).decode()
    except DamagedError as error:
        raise InputError(f"{shown} cannot be read: {error}. Pass a recipe that the page saved") from None
    except UnicodeDecodeError:
        raise InputError(f"{shown} is no text. Pass a recipe that the page saved") from None
    except OSError as error:
        raise InputError(
            f"{shown} cannot be read: {error.strerror}. Pass a recipe that the page saved"
        ) from None


def check_model_file(to: Path, name: str, *, overwrite: bool, read: Path | None) -> None:
    """Raise unless a model may be written to `to`, which users call `name`; `read` is the file that it is made of."""
    if to.suffix.lower() not in MODEL_FILES:
        raise InputError(
            f"{name} must end in .h5, .hdf5 or .keras, for Keras goes by the ending of what is written; got {to}. "
            f"Pass {to.with_suffix('.h5')}"
        )
    if not to.exists():
        return
    if read is not None and read.exists() and to.samefile(read):
        raise InputError(f"{name} must be another file than the model that is read, {to}. Pass another name")
    if not overwrite:
        raise InputError(f"{to} exists already. Pass another name, or --overwrite to replace it")


def inspect_model(
    model: Path,
    *,
    source: Reading = READ_AS_IT_IS,
    why: bool = False,
    out: Path | None = None,
    overwrite: bool = False,
) -> Written:
    """Say what a file is, and what is in it, and write it to a page where there is a folder for it.

    Parameters
    ----------
    model : Path
        The file, of any kind. The weights of a model are read, to check them, only if they are few.
    source : Reading
        What the model file does not say itself; of it the architecture, what is replaced and the shape of the inputs.
    why : bool
        Of a file that does not open, list all that is in the way, in place of an error and with exit status 0.
    out : Path, optional
        Folder for index.html, inspect.txt and results.json; nothing is written by default.
    overwrite : bool
        Replace results that are there already.

    Raises
    ------
    InputError
        If the model cannot be read, or `out` cannot be written to.
    """
    if out is None:
        return Written((), _inspected(model, source, why=why))
    owner = Owner("probe inspect", 0, model=model)
    folder = Folder(out, owner, ("index.html", _KEPT), overwrite=overwrite)
    text = _inspected(model, source, why=why)
    page = Report(
        title="What is in this file?",
        subtitle=printable(model, 300),
        sections=(Section(key="inspect", facts={"text": text}),),
        kept=f"the text in {_KEPT}",
    )
    facts = {"model": str(model), "text": text.split("\n")}
    written = folder.publish(page, facts=facts, beside={_KEPT: f"{text}\n".encode()})
    return replace(written, summary=text)


def _inspected(model: Path, source: Reading, *, why: bool) -> str:
    """Return what is in a file, or raise if it does not open: with all that is in the way, and what to do."""
    try:
        lines = _contents(model, source)
    except InputError as error:
        if not model.exists():
            raise
        foreign, others = foreign_file(model), tuple[str, ...]()
        if foreign is not None and foreign.is_model:
            # Another kind of file that is read, and whose reader knows what is wrong with it.
            listed = onnx_obstacles(model, input_shape=source.input_shape) if why and is_onnx(model) else ()
            found = Diagnosis(foreign.what, listed or (str(error),))
        else:
            found = diagnose(
                model,
                architecture=source.architecture,
                replace=source.replace,
                input_shape=source.input_shape,
            )
            others = found.problems[1:] if foreign is None else ()
        if not why:
            text = str(error)
            if others:
                places = "; ".join(printable(problem, 80) for problem in others[:_OTHERS_SHOWN])
                more = ", ..." if len(others) > _OTHERS_SHOWN else ""
                text += f" ({len(others)} more in the way: {places}{more}; --why lists each)"
            raise type(error)(text) from None
        lines = [
            f"{printable(model, 300)} is {found.what}",
            "it does not open:",
            *(f"  {line}" for line in found.problems),
        ]
    return "\n".join(printable(line, LINE) for line in lines)


def _contents(model: Path, source: Reading) -> list[str]:
    foreign = foreign_file(model)
    if foreign is not None and foreign.is_model:
        return lines_of_network(foreign.what, source.network(model))
    with source.open(model) as file:
        return lines_of_file(file)
