"""The cards of units: what one unit reads, what excites it, what it tells, and what is lost without it.

`measuring` computes values and what is lost, `standing` holds units against those of other networks, `analysis` makes the
cards of what these and other analyses find, and `results` is what is known in the end.
"""

from probe.analyses.unit.analysis import unit_card, unit_cards
from probe.analyses.unit.results import (
    QUANTILES,
    STATISTICS,
    LayerCards,
    RankedImages,
    Standing,
    UnitCard,
    UnitCards,
)

__all__ = [
    "QUANTILES",
    "STATISTICS",
    "LayerCards",
    "RankedImages",
    "Standing",
    "UnitCard",
    "UnitCards",
    "unit_card",
    "unit_cards",
]
