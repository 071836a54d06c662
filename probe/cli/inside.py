"""`probe maximize`, `probe features`, `probe drawing` and `probe noise`: what a network learned, and what it did not."""

from __future__ import annotations

from typing import Annotated

import typer

from probe._errors import InputError
from probe.cli._shared import (
    MOST,
    Architecture,
    Data,
    FromLogits,
    ImageShape,
    Mean,
    Model,
    Networks,
    Out,
    Output,
    Range,
    Seed,
    Std,
    drawn_progress,
    integers,
    reading_of,
    say,
    shape_of,
)

__all__ = ["EXAMPLES", "drawing", "features", "maximize", "noise"]

EXAMPLES = {
    "features": "Example:  probe features model.h5 --data mnist",
    "drawing": "Example:  probe drawing model.h5 --data mnist",
    "maximize": 'Examples:  probe maximize model.h5   |   probe maximize model.h5 --objective "class:3 - class:8" '
    '--objective "hidden_1:4"',
    "noise": "Examples:  probe noise model.h5 --data mnist   |   probe noise model.h5 --severity",
}
"""What the help of each command ends with."""


def features(
    model: Model,
    data: Data = "mnist",
    networks: Networks = 20,
    pixel_range: Range = (0.0, 1.0),
    mean: Mean = None,
    std: Std = None,
    output: Output = None,
    from_logits: FromLogits = False,  # noqa: FBT002
    architecture: Architecture = None,
    out: Out = None,
    seed: Seed = 0,
) -> None:
    """Test what the hidden layers learned: structure in weights, edges and loops, paths; over networks of its shape."""
    from probe import workflow

    with drawn_progress() as progress:
        written = workflow.features_model(
            model,
            data=data,
            reading=reading_of(architecture, pixel_range, output, mean, std, from_logits=from_logits),
            n_networks=networks,
            out=out,
            seed=seed,
            progress=progress,
        )
    say(written)


def maximize(
    model: Model,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help='What to maximise: "class:3 - class:8", "hidden_1:4", "-hidden_1:4", "conv2d:4@3,3". Again for more.',
            metavar="TERMS",
            show_default=False,
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            help="Maximise the units or channels of this layer instead of the classes.", show_default=False
        ),
    ] = None,
    position: Annotated[
        str | None,
        typer.Option(
            help="Of a channel, the value at this place instead of the mean over all.",
            metavar="ROW,COLUMN",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Data whose test images to show beside, those with the greatest values; none by default.",
            metavar="NAME|PATH",
            show_default=False,
        ),
    ] = None,
    image_shape: ImageShape = None,
    pixel_range: Range = (0.0, 1.0),
    mean: Mean = None,
    std: Std = None,
    output: Output = None,
    from_logits: FromLogits = False,  # noqa: FBT002
    architecture: Architecture = None,
    restarts: Annotated[int, typer.Option(help="Random starts for each image.", max=MOST)] = 4,
    steps: Annotated[int, typer.Option(help="Steps of each ascent.")] = 200,
    l2: Annotated[float, typer.Option("--l2", help="Price of ink.")] = 0.0,
    total_variation: Annotated[float, typer.Option(help="Price of differences between neighbours.")] = 0.0,
    diversity: Annotated[float, typer.Option(help="Price of likeness to the other starts' images.")] = 0.0,
    parameterization: Annotated[
        str, typer.Option(help="What is moved: pixels, fourier or blurred.", metavar="NAME")
    ] = "pixels",
    shift: Annotated[int, typer.Option(help="Maximise the mean over shifts by up to so many pixels.")] = 0,
    ball: Annotated[
        float | None, typer.Option(help="Greatest L2 norm of an image, within [0, 1].", show_default=False)
    ] = None,
    animation: Annotated[
        str, typer.Option(help="none, or gif: the way up as an animation.", metavar="NAME")
    ] = "none",
    out: Out = None,
    seed: Seed = 0,
) -> None:
    """Find the inputs that maximise every class, the units of a layer, or sums of these; with bounds on what is possible."""
    from probe import workflow

    with drawn_progress() as progress:
        written = workflow.maximize_model(
            model,
            objectives=objective or (),
            layer=layer,
            position=None if position is None else integers("--position", position),
            data=data,
            image_shape=shape_of(image_shape),
            reading=reading_of(architecture, pixel_range, output, mean, std, from_logits=from_logits),
            restarts=restarts,
            steps=steps,
            l2=l2,
            total_variation=total_variation,
            diversity=diversity,
            parameterization=parameterization,  # type: ignore[arg-type]
            shift=shift,
            ball=ball,
            animation=animation,  # type: ignore[arg-type]
            out=out,
            seed=seed,
            progress=progress,
        )
    say(written)


def noise(
    model: Model,
    data: Data = "mnist",
    images: Annotated[
        int | None,
        typer.Option(help="Test images to use, drawn at random; all by default.", show_default=False),
    ] = None,
    severity: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--severity",
            help="Also from digits to noise in steps, over networks trained beside it and nulls.",
        ),
    ] = False,
    networks: Annotated[
        int | None,
        typer.Option(
            help="With --severity: networks of the same shape that are trained beside it; 30 by default.",
            max=MOST,
            show_default=False,
        ),
    ] = None,
    pixel_range: Range = (0.0, 1.0),
    mean: Mean = None,
    std: Std = None,
    output: Output = None,
    from_logits: FromLogits = False,  # noqa: FBT002
    architecture: Architecture = None,
    out: Out = None,
    seed: Seed = 0,
) -> None:
    """Measure how confident a network is on noise, and whether that tells noise from images."""
    from probe import workflow

    reading = reading_of(architecture, pixel_range, output, mean, std, from_logits=from_logits)
    if not severity:
        if networks is not None:
            raise InputError("--networks must come with --severity, which trains them")
        say(workflow.noise_model(model, data=data, reading=reading, out=out, seed=seed, n_images=images))
        return
    with drawn_progress() as progress:
        written = workflow.noise_severity_model(
            model,
            data=data,
            reading=reading,
            n_networks=30 if networks is None else networks,
            n_images=images,
            out=out,
            seed=seed,
            progress=progress,
        )
    say(written)


def drawing(
    model: Model,
    data: Data = "mnist",
    networks: Networks = 20,
    pixel_range: Range = (0.0, 1.0),
    mean: Mean = None,
    std: Std = None,
    output: Output = None,
    from_logits: FromLogits = False,  # noqa: FBT002
    architecture: Architecture = None,
    restarts: Annotated[int, typer.Option(help="Random starts for each class.", max=MOST)] = 4,
    steps: Annotated[int, typer.Option(help="Steps of each ascent.")] = 200,
    out: Out = None,
    seed: Seed = 0,
) -> None:
    """Test whether a network can draw: its favourite images, judged by others than itself."""
    from probe import workflow

    with drawn_progress() as progress:
        written = workflow.drawing_model(
            model,
            data=data,
            reading=reading_of(architecture, pixel_range, output, mean, std, from_logits=from_logits),
            n_networks=networks,
            restarts=restarts,
            steps=steps,
            out=out,
            seed=seed,
            progress=progress,
        )
    say(written)
