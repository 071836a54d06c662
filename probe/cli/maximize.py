"""`probe maximize`: the inputs that a network likes best."""

from __future__ import annotations

from typing import Annotated

import typer

from probe.cli._shared import (
    MOST,
    Architecture,
    FromLogits,
    ImageShape,
    Mean,
    Model,
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

__all__ = ["EXAMPLES", "maximize"]

EXAMPLES = (
    'Examples:  probe maximize model.h5   |   probe maximize model.h5 --objective "class:3 - class:8" '
    '--objective "hidden_1:4"'
)
"""What the help of the command ends with."""


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
    """Find the inputs that maximize every class, the units of a layer, or sums of these; with bounds on what is possible."""
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
