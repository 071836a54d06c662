"""Sweeps: many trials of one experiment, which can be killed at any moment and go on from there.

`folder` keeps configuration, trials and checksums on disk; `run` does what is missing; `_dask` lends it
the machines of a Dask cluster; `study` runs a `probe.study.Study` so.
"""

from probe.sweep.run import SweepOutcome, run_sweep
from probe.sweep.study import ANYWHERE, Backend, Source, run_study_in

__all__ = ["ANYWHERE", "Backend", "Source", "SweepOutcome", "run_study_in", "run_sweep"]
