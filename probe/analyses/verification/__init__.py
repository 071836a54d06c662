"""Published figures beside ours: what was found elsewhere, run again.

`rows` says what a row is and when ours agrees; `bench` what experiments are done with. The experiments are in `lesson`,
`nielsen`, `nielsen_improved`, `noise`, `memorizing` and `landscapes`, and `study` runs them.
"""

from probe.analyses.verification.results import Verification, VerifiedRow
from probe.analyses.verification.rows import SIZES, SOURCES, Row
from probe.analyses.verification.study import (
    EXPERIMENTS,
    ROWS,
    VerificationDesign,
    VerificationKey,
    VerificationStudy,
    VerificationTrial,
    verify,
)

__all__ = [
    "EXPERIMENTS",
    "ROWS",
    "SIZES",
    "SOURCES",
    "Row",
    "Verification",
    "VerificationDesign",
    "VerificationKey",
    "VerificationStudy",
    "VerificationTrial",
    "VerifiedRow",
    "verify",
]
