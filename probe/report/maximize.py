"""Maximising inputs in words."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probe.analyses.maximize import Maximization
from probe.network import Network
from probe.report.page import Claim, Picture, Section, Table

__all__ = ["maximization_section"]


def maximization_section(
    network: Network, plain: Maximization, smooth: Maximization, units: Maximization | None
) -> tuple[Section, tuple[Claim, ...]]:
    """Return the inputs that maximise each class (without and with regularisers) and each hidden unit.

    No claim: that a network puts the images made for it where they were meant says nothing of their shape.
    """
    rows, best = np.arange(len(plain.names)), plain.best_restarts
    confidences, predictions = plain.confidences[rows, best], plain.predictions[rows, best]
    hits = int((predictions == rows).sum())
    surest = float(confidences[predictions == rows].min()) if hits else None
    starts = float(np.median(plain.start_values))
    moved = bool((plain.best_values > plain.start_values.max(axis=1)).any())
    numbers: dict[str, object] = {
        "confidences": confidences.tolist(),
        "predictions": [network.class_names[k] for k in predictions],
        "classified_as_intended": hits,
        "smallest_confidence_of_these": surest,
        "median_start_value": starts,
        "moved": moved,
        "n_restarts": plain.values.shape[1],
        **_numbers(plain),
        "smooth": {"l2": smooth.l2, "total_variation": smooth.total_variation, **_numbers(smooth)},
    }
    found = f"The network puts {hits} of the {len(rows)} images that it likes best in the class they were made for"
    found += f", with a confidence of at least {_floored(surest)}." if surest is not None else "."
    lead: tuple[str, ...] = (
        f"Gradient ascent on the pixels, from random images of any brightness and inside {_inside(plain)}, towards the "
        f"input that raises the logit of a class most; the best of {plain.values.shape[1]} starts is shown. The logits "
        f"climb from a median of {starts:.1f} on the random images to between {plain.best_values.min():.1f} and "
        f"{plain.best_values.max():.1f}. {found}",
        _heights(plain),
    )
    if plain.top is not None:
        lead += (_beside_real(plain),)
    if not moved:
        lead = (
            "The gradient of the classes with respect to the pixels is zero, as it is behind step activations, so "
            "nothing climbs: the images below are the random ones that the ascent started from.",
        )
    pictures = [
        Picture(
            "maximize_classes",
            plain,
            "What each class wants most, without any help: the number is the logit reached. If these do not look "
            "like their class to you, the network is sure of something else than its shape."
            + _real_in_words(plain, "logit"),
            "One image for each class that maximises its logit"
            + (
                ", with the real images that have the greatest logits beside it."
                if plain.top is not None
                else "."
            ),
        ),
        Picture(
            "maximize_classes_smooth",
            smooth,
            f"The same with a price on differences between neighbouring pixels (total variation, weight "
            f"{smooth.total_variation:g}) and on ink (L2, weight {smooth.l2:g}): the smoothness here is asked for, "
            f"not learned.",
            "One smoothed image for each class that maximises its logit.",
        ),
    ]
    if units is not None:
        pictures.append(
            Picture(
                "maximize_units",
                units,
                f"What {len(units.names)} hidden units or channels want most: layer:unit, and the pre-activation "
                "reached (of a channel, the mean over its map). For a first dense layer this is ink wherever its weight "
                f"is positive. {_heights(units)}" + _real_in_words(units, "value"),
                "One image for each hidden unit that maximises its pre-activation.",
            )
        )
        numbers["units"] = _numbers(units)
    title = "What does it want to see?"
    return Section("maximize", title, lead, tuple(pictures), _tables(plain), numbers), ()


def _inside(result: Maximization) -> str:
    name = result.region.name
    return name.removeprefix("the box ")


def _numbers(result: Maximization) -> dict[str, object]:
    bounds = result.bounds
    return {
        "names": list(result.names),
        "best_values": result.best_values.tolist(),
        "lower_bounds": bounds.lower.tolist(),
        "upper_bounds": bounds.upper.tolist(),
        "bounds_are_exact": bounds.exact.tolist(),
        "unbounded_layers": list(bounds.unbounded_layers),
        "reached": result.reached.tolist(),
        "n_optima": result.n_optima.tolist(),
        "share_settled": float(result.settled.mean()),
    } | ({} if result.top is None else {"best_real_values": result.top.values[:, 0].tolist()})


def _heights(result: Maximization) -> str:
    """Return how near the values are to the highest possible, and how many optima there are."""
    reached = result.reached
    known = np.isfinite(reached)
    n_restarts = result.values.shape[1]
    optima = result.n_optima
    groups = (
        f"The {n_restarts} starts of an objective end in {_range(optima)} images that differ"
        if n_restarts > 1
        else "One start for each objective says nothing of other optima"
    )
    groups += (
        ": a best image is one of several."
        if n_restarts > 1 and optima.max() > 1
        else ": all of them find the same."
        if n_restarts > 1
        else "."
    )
    settled = float(result.settled.mean())
    if settled < 1:
        groups += f" {1 - settled:.0%} of the ascents were still rising at their last step."
    if not known.any():
        layers = sorted({layer for layer in result.bounds.unbounded_layers if layer})
        return f"How high they could get is not known: {_listed(layers)} can put out anything. {groups}"
    certified = int((reached[known] > 1 - 1e-4).sum())
    words = (
        f"No image in the region can leave the bounds of its objective; of the way from the lower to the upper one the "
        f"best images have come {_floored(float(reached[known].min()))} to {_floored(float(reached[known].max()))}"
    )
    words += (
        f", and {certified} of {len(reached)} are proven to be the highest there is." if certified else "."
    )
    return f"{words} {groups}"


def _range(counts: npt.NDArray[np.int64]) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low}" if low == high else f"{low} to {high}"


def _beside_real(result: Maximization) -> str:
    """Return how the real images compare."""
    assert result.top is not None
    real = result.top.values[:, 0]
    above = int((result.best_values > real).sum())
    return (
        f"Of {result.top.n_images:,} real images none reaches the optimised one for {above} of {len(real)} objectives. "
        "People predict what a unit responds to better from the real images that excite it most than from optimised ones "
        "(Borowski et al., 2021), so both are shown."
    )


def _real_in_words(result: Maximization, what: str) -> str:
    if result.top is None:
        return ""
    return f" To the right of each, the {result.top.images.shape[1]} real images with the greatest {what}."


def _tables(result: Maximization) -> tuple[Table, ...]:
    bounds = result.bounds
    header = ("objective", "value", "upper bound", "of the way", "distinct optima")
    rows = []
    for k, name in enumerate(result.names):
        upper = f"{bounds.upper[k]:.2f}" if np.isfinite(bounds.upper[k]) else "none"
        share = f"{_floored(float(result.reached[k]))}" if np.isfinite(result.reached[k]) else "–"
        row = (name, f"{result.best_values[k]:.2f}", upper, share, f"{result.n_optima[k]}")
        rows.append(row if result.top is None else (*row, f"{result.top.values[k, 0]:.2f}"))
    if result.top is not None:
        header = (*header, "best real image")  # type: ignore[assignment]
    caption = (
        "The value reached; the bound that no image in the region can exceed; how far up from the lower bound to the upper "
        f"one the value is; and how many different images the {result.values.shape[1]} starts end in."
    )
    return (Table(caption, header, tuple(rows)),)


def _listed(names: list[str]) -> str:
    return ", ".join(f"layer '{name}'" for name in names)


def _floored(share: float) -> str:
    """Return `share` in per cent, rounded down, so that "at least" is true."""
    return f"{np.floor(share * 1000) / 10:.1f}%"
