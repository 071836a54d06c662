"""A classifier of scikit-learn on the engine of training, and many of them fitted as one population."""

from probe.estimator.classifier import NetworkClassifier
from probe.estimator.many import fit_many

__all__ = ["NetworkClassifier", "fit_many"]
