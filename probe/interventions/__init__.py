"""Networks changed by hand: units silenced, cloned and flipped, weights pruned and moved at random.

The page writes what was done there as a recipe, a list of edits in JSON. The same edits give the same numbers here and
there.
"""

from probe.interventions.edits import EDITS, Clone, Edit, Flip, Prune, Shake, Silence, apply_edits
from probe.interventions.recipe import read_edits

__all__ = ["EDITS", "Clone", "Edit", "Flip", "Prune", "Shake", "Silence", "apply_edits", "read_edits"]
