# Written by `python tests/test_public_names.py`: what `probe/__init__.py` loads when it is used.
from probe._version import __version__ as __version__
from probe._checks import DataFileError as DataFileError, InputError as InputError, ModelFileError as ModelFileError, ModelFileWarning as ModelFileWarning, ProbeWarning as ProbeWarning
from probe.analyses.capacity import capacity as capacity
from probe.analyses.classification import classification as classification
from probe.analyses.comparison import compare_networks as compare_networks
from probe.analyses.concepts import concepts as concepts, image_concepts as image_concepts
from probe.analyses.drawing import drawing as drawing
from probe.analyses.landscape import cost_plane as cost_plane, landscape as landscape
from probe.analyses.maximize import maximize as maximize
from probe.analyses.memorization import memorization as memorization
from probe.analyses.minima import minima as minima
from probe.analyses.noise import confidence_limit as confidence_limit, noise_confidence as noise_confidence, noise_severity as noise_severity
from probe.analyses.paths import expanded_weights as expanded_weights
from probe.analyses.robustness import robustness as robustness
from probe.analyses.scores import memorization_scores as memorization_scores
from probe.analyses.search import search as search
from probe.analyses.structure import weight_structure as weight_structure
from probe.analyses.unit import unit_card as unit_card, unit_cards as unit_cards
from probe.analyses.verification import verify as verify
from probe.analyses.weights import weight_images as weight_images
from probe.ascent import parse_objective as parse_objective
from probe.controls import Controls as Controls, control_networks as control_networks
from probe.datasets import Dataset as Dataset, Split as Split, load_dataset as load_dataset
from probe.displays import LandscapeDisplay as LandscapeDisplay, MemorizationDisplay as MemorizationDisplay, NoiseDisplay as NoiseDisplay, WeightImagesDisplay as WeightImagesDisplay
from probe.estimator import NetworkClassifier as NetworkClassifier, fit_many as fit_many
from probe.figures import plot as plot
from probe.film import Film as Film
from probe.imports import from_sklearn as from_sklearn, from_torch as from_torch
from probe.interventions import apply_edits as apply_edits, read_edits as read_edits
from probe.kerasfile import open_model as open_model
from probe.network import Network as Network
from probe.objectives import Objective as Objective, class_logit as class_logit, direction as direction, unit as unit
from probe.population import MLP as MLP, Population as Population
from probe.results import Result as Result
from probe.safeh5 import Limits as Limits
from probe.sensitivity import critical_samples as critical_samples, loss_sensitivity as loss_sensitivity
from probe.stats import Verdict as Verdict
from probe.storage import load_film as load_film, load_network as load_network, load_result as load_result, save_network as save_network, save_result as save_result
from probe.training import PopulationResult as PopulationResult, TrainingConfig as TrainingConfig, TrainingResult as TrainingResult, train as train, train_population as train_population
from probe.workflow.notebook import report as report

__all__: list[str]
