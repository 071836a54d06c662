"""Search among architectures and ways of training: many are tried a little, the best of them longer.

`results` holds what is found and what the choice is worth beside the video's network, `halving` the search, and `trials`
the candidates on their way.
"""

from probe.analyses.search.halving import search
from probe.analyses.search.results import ArchitectureSearch, SearchCandidate, SearchFront, SearchRung

__all__ = ["ArchitectureSearch", "SearchCandidate", "SearchFront", "SearchRung", "search"]
