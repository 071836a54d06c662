"""The cards of units: what one unit reads, what excites it, what it tells, and what is lost without it.

`addresses` reads which unit is meant, `measuring` computes values and what is lost, `favorites` has the images that units
like best, `standing` holds units against those of other networks, `analysis` makes the cards, and `card` and `results` are
what is known in the end: of one unit, and of all.
"""

from probe.analyses.unit.analysis import unit_card, unit_cards
from probe.analyses.unit.card import QUANTILES, STATISTICS, RankedImages, Standing, UnitCard
from probe.analyses.unit.results import LayerCards, UnitCards

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
