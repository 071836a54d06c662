"""`probe search`: which architecture does best."""

from __future__ import annotations

from typing import Annotated

import typer

from probe.cli._shared import MOST, BatchSize, Data, Out, Seed, drawn_progress, integers, numbers, say

__all__ = ["EXAMPLES", "search"]

EXAMPLES = (
    "Examples:  probe search   |   probe search --data digits --widths 8,32,128 --depths 1,2 --activations relu,tanh   |   "
    "probe search --samples 60000 --epochs 27"
)
"""What the help of the command ends with."""


def search(
    data: Data = "mnist",
    widths: Annotated[
        str, typer.Option(help="Units of each hidden layer, to compare.", metavar="N,N,...")
    ] = "4,16,64",
    depths: Annotated[
        str, typer.Option(help="Hidden layers, to compare; 0 is none.", metavar="N,N,...")
    ] = "1,2,3",
    activations: Annotated[
        str,
        typer.Option(
            help="Such as sigmoid, tanh, relu, gelu and softplus; any names in probe.layers.ACTIVATIONS.",
            metavar="NAME,...",
        ),
    ] = "sigmoid,tanh,relu",
    costs: Annotated[
        str, typer.Option(help="Of cross-entropy and quadratic.", metavar="NAME,...")
    ] = "cross-entropy,quadratic",
    rates: Annotated[str, typer.Option(help="Learning rates to compare.", metavar="RATE,...")] = "0.1,0.3,1",
    networks: Annotated[
        int, typer.Option(help="Networks trained of each candidate, at least 2.", max=MOST)
    ] = 5,
    first_epochs: Annotated[
        int | None,
        typer.Option(
            help="Passes over the images that all candidates get; 1 by default, more where images are few.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Passes that the last ones left get, at most: each round three times as many as the one before, for the "
            "best third. Nine times the first by default.",
            show_default=False,
        ),
    ] = None,
    batch_size: BatchSize = 100,
    samples: Annotated[
        int | None,
        typer.Option(
            help="Training images to use, a fifth of them to choose by; all, but at most 30000, by default.",
            show_default=False,
        ),
    ] = None,
    out: Out = None,
    seed: Seed = 0,
) -> None:
    """Search for the network that does best: many are trained a little, the best of them longer.

    The choice is made on training images that were kept apart, and compared with the video's network on test images.
    """
    from probe.workflow.search import search_data

    with drawn_progress() as progress:
        written = search_data(
            data=data,
            widths=integers("--widths", widths),
            depths=integers("--depths", depths),
            activations=_names(activations),
            costs=_names(costs),  # type: ignore[arg-type]
            rates=numbers("--rates", rates),
            n_networks=networks,
            first_epochs=first_epochs,
            epochs=epochs,
            batch_size=batch_size,
            n_samples=samples,
            out=out,
            seed=seed,
            progress=progress,
        )
    say(written)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))
