"""The catalogue: one entry for each analysis, and all that follows from it.

An entry says where an analysis is, what it needs and what it is called. From it come its public name
(`probe.<name>`), what plots its result, its command with its options, its part of the report and of results.json,
its rows in the documentation, and the contract tests. The entries hold names only: nothing is imported for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

__all__ = [
    "ANALYSES",
    "Analysis",
    "Command",
    "Need",
    "analysis_of",
    "command_with",
    "function_of",
    "study_of",
]

Need = Literal["network", "other", "split", "controls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that runs an analysis on a model file and writes a page.

    Attributes
    ----------
    name : str
        `probe <name>`.
    title : str
        Of its page.
    help : str
        One sentence: what it does.
    examples : tuple of str
        Command lines without `probe`.
    analyses : tuple of str
        Names of the analyses that it runs, in the order of the page; the entry's own without.
    n_controls : int
        Control networks that are trained beside the network where an analysis needs some.
    """

    name: str
    title: str
    help: str
    examples: tuple[str, ...]
    analyses: tuple[str, ...] = ()
    n_controls: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """An entry.

    Attributes
    ----------
    name : str
        Of the function, and so `probe.<name>`.
    module : str
        Where it is, in `probe.analyses`.
    result : str
        Class of what it returns.
    figures : str
        Module of `probe.figures` that plots it.
    key : str
        Of its section: its template is `probe/pages/templates/<key>.html`, its result is `<key>` in results.json and
        results.h5.
    needs : tuple of {"network", "other", "split", "controls"}
        What it is called with, in this order; "other" is a second network; controls by keyword.
    sections : mapping of str to str
        Templates of its sections, where these are several or not called `key`, each with the attribute of the result that it
        needs; "" for none.
    options : tuple of str
        Parameters of the function that are options of its command.
    study : str
        For an analysis of many trained networks, its class of studies in the same module; `<study>.of(architectures, split,
        config, **options)` makes one.
    training : tuple of str
        Fields of `TrainingConfig` that are options of the command of a study.
    command : Command, optional
        Its command; none where one of its own reads better.
    optional : bool
        Whether there are networks that it cannot be done for; its template reads `why` then.
    report : mapping, optional
        Its place in the report is that of the entry; these are the arguments that keep it short there. Not in the report
        without.
    by_parts : bool
        Whether its command takes images that are larger than memory: all that it does with them is done by parts.
    """

    name: str
    module: str
    result: str
    figures: str
    key: str
    needs: tuple[Need, ...] = ("network", "split")
    sections: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    study: str = ""
    training: tuple[str, ...] = ()
    command: Command | None = None
    optional: bool = False
    report: Mapping[str, object] | None = None
    by_parts: bool = False


ANALYSES = (
    Analysis(
        name="weight_images",
        module="weights",
        result="WeightImages",
        figures="weights",
        key="weights",
        report={},
        needs=("network",),
    ),
    Analysis(
        name="weight_structure",
        module="structure",
        result="WeightStructure",
        figures="weights",
        key="structure",
        report={},
        needs=("network", "split", "controls"),
        optional=True,
        command=Command(
            name="features",
            title="What did the hidden layers learn?",
            help="Test what the hidden layers learned: structure in weights, edges and loops, paths; over networks of its "
            "shape.",
            examples=("features model.h5 --data mnist",),
            analyses=("weight_structure", "concepts", "expanded_weights"),
        ),
    ),
    Analysis(
        name="concepts",
        module="concepts",
        result="Concepts",
        figures="concepts",
        key="concepts",
        report={"n_images": 1000},
        needs=("network", "split", "controls"),
    ),
    Analysis(
        name="expanded_weights",
        module="paths",
        result="ExpandedWeights",
        figures="weights",
        key="paths",
        report={"n_images": 300},
        needs=("network", "split", "controls"),
    ),
    Analysis(
        name="maximize",
        module="maximize",
        result="Maximization",
        figures="maximize",
        key="maximize",
        report={},
        needs=("network",),
        options=("restarts", "steps", "l2", "total_variation", "diversity"),
    ),
    Analysis(
        name="unit_card",
        module="unit",
        result="UnitCard",
        figures="unit",
        key="unit",
        needs=("network", "split", "controls"),
    ),
    Analysis(
        name="classification",
        module="classification",
        result="Classification",
        figures="classification",
        key="classification",
        report={},
        options=("n_images",),
        command=Command(
            name="evaluate",
            title="Where is it wrong?",
            help="Measure how well a network classifies test images: accuracy, what it takes for what, its surest mistakes, "
            "and how far its confidence can be trusted.",
            examples=("evaluate model.h5 --data mnist",),
        ),
    ),
    Analysis(
        name="drawing",
        module="drawing",
        result="Drawing",
        figures="drawing",
        key="drawing",
        report={},
        needs=("network", "split", "controls"),
        options=("restarts", "steps"),
        command=Command(
            name="drawing",
            title="Can it draw?",
            help="Test whether a network can draw: its favorite images, judged by others than itself.",
            examples=("drawing model.h5 --data mnist",),
        ),
    ),
    Analysis(
        name="noise_confidence",
        module="noise",
        result="NoiseConfidence",
        figures="noise",
        key="noise",
        report={},
        options=("n_images",),
        command=Command(
            name="noise",
            title="How sure is it of noise?",
            help="Measure how confident a network is on noise, and whether that tells noise from images.",
            examples=("noise model.h5 --data mnist",),
        ),
        by_parts=True,
    ),
    Analysis(
        name="noise_severity",
        module="noise",
        result="NoiseSeverity",
        figures="noise",
        key="severity",
        report={"n_images": 2000},
        needs=("network", "split", "controls"),
        options=("n_images",),
        command=Command(
            name="severity",
            title="How sure is it of noise?",
            help="Follow confidence from images to noise in steps, over networks trained beside it and nulls.",
            examples=("severity model.h5 --data mnist",),
            analyses=("noise_confidence", "noise_severity"),
        ),
        by_parts=True,
    ),
    Analysis(
        name="memorization",
        module="memorization",
        result="Memorization",
        figures="memorization",
        key="memorization",
        sections={"study": ""},
        report={},
        needs=("split",),
        study="MemorizationStudy",
        options=(
            "n_samples",
            "corruption",
            "label_corruption",
            "input_corruption",
            "replicates",
            "weight_decay",
            "rates",
            "dynamics",
        ),
        training=("epochs", "batch_size", "learning_rate", "optimizer"),
        command=Command(
            name="memorize",
            title="Does it learn, or memorize?",
            help="Train networks on true and corrupted labels, and judge the claims about memorization. It can be killed "
            "at any moment: the same command goes on from there, also with more --replicates.",
            examples=(
                "memorize",
                "memorize --hidden 128 --samples 5000 --corruption 0,0.25,0.5,0.75,1 --replicates 20",
                "memorize --rates 0.03,0.1,0.3 --dynamics sensitivity",
            ),
        ),
    ),
    Analysis(
        name="capacity",
        module="capacity",
        result="Capacity",
        figures="search",
        key="capacity",
        needs=("split",),
        study="CapacityStudy",
        options=("largest", "replicates"),
        training=("epochs", "batch_size"),
        command=Command(
            name="capacity",
            title="How much can it learn by heart?",
            help="Find how many random labels each network fits. It can be killed at any moment: the same command goes on "
            "from there, also with more --replicates.",
            examples=("capacity", "capacity --hidden 4 --hidden 16,16"),
        ),
    ),
    Analysis(
        name="memorization_scores",
        module="scores",
        result="MemorizationScores",
        figures="memorization",
        key="scores",
        needs=("split",),
        study="ScoresStudy",
        options=("n_networks", "n_samples", "corruption"),
        training=("epochs", "batch_size", "learning_rate", "optimizer", "weight_decay"),
        command=Command(
            name="scores",
            title="Which examples are learned by heart?",
            help="Score every training image by how much more often networks that were trained on it get it right. It can "
            "be killed at any moment: the same command goes on from there.",
            examples=("scores", "scores --hidden 128 --corruption 0.2"),
        ),
    ),
    Analysis(
        name="landscape",
        module="landscape",
        result="Landscape",
        figures="landscape",
        key="landscape",
        sections={"descent": "", "activations": "activations", "path": "path", "surface": "surface"},
        optional=True,
        report={"parts": ("activations",), "n_directions": 100, "n_images": 250, "workers": 1},
        options=("cost", "n_networks", "n_directions", "updates", "resolution", "workers"),
        command=Command(
            name="landscape",
            title="What does its landscape look like?",
            help="Look at the cost around a network: the steepest way, steps without slopes, the path down, the surface.",
            examples=("landscape model.h5 --data mnist",),
        ),
    ),
    Analysis(
        name="minima",
        module="minima",
        result="Minima",
        figures="minima",
        key="minima",
        sections={"minima": "", "curvature": "is_measured", "connections": "is_connected"},
        report={},
        needs=("split",),
        study="MinimaStudy",
        options=("n_networks", "n_samples", "polish", "curvature", "margin", "n_connected"),
        training=("epochs", "batch_size", "learning_rate", "cost", "weight_decay"),
        command=Command(
            name="minima",
            title="What are its local minima worth?",
            help="Train many networks from different starts, and compare where they end: costs, curvature, what lies "
            "between. For units other than sigmoid the default learning rate is a tenth. It can be killed at any moment: "
            "the same command goes on from there, also with more --networks.",
            examples=("minima", "minima --hidden 4 --hidden 16 --workers 1"),
        ),
    ),
    Analysis(
        name="robustness",
        module="robustness",
        result="Robustness",
        figures="robustness",
        key="robustness",
        needs=("split",),
        study="RobustnessStudy",
        options=("recipes", "lengths", "datasets", "replicates"),
        command=Command(
            name="robustness",
            title="Does it hold for other networks?",
            help="Judge the video's sentences on networks of other recipes, lengths of training, widths and data. It can be "
            "killed at any moment: the same command goes on from there, also with more --replicates.",
            examples=(
                "robustness",
                "robustness --hidden 16,16 --lengths 1 --recipes modern,video --workers 2",
            ),
        ),
    ),
    Analysis(
        name="verify",
        module="verification",
        result="Verification",
        figures="verification",
        key="verification",
        needs=("split",),
        study="VerificationStudy",
        options=("rows", "size", "n_networks"),
        command=Command(
            name="verify",
            title="Does it come to what was published?",
            help="Train what books and papers report, and hold ours against their figures, each within a tolerance that was "
            "declared before. It can be killed at any moment: the same command goes on from there.",
            examples=("verify", "verify --rows nielsen,zhang --size medium"),
        ),
    ),
    Analysis(
        name="compare_networks",
        module="comparison",
        result="Comparison",
        figures="comparison",
        key="comparison",
        needs=("network", "other", "split"),
        options=("n_images",),
        command=Command(
            name="compare",
            title="What do two networks have in common?",
            help="Compare two networks: hidden units matched by what they do, what changed, what only one can do.",
            examples=("compare before.h5 after.h5 --data mnist",),
        ),
    ),
    Analysis(
        name="search",
        module="search",
        result="ArchitectureSearch",
        figures="search",
        key="search",
        needs=("split",),
        options=(
            "widths",
            "depths",
            "activations",
            "costs",
            "rates",
            "n_networks",
            "first_epochs",
            "epochs",
            "batch_size",
            "n_samples",
        ),
        command=Command(
            name="search",
            title="Which architecture does best?",
            help="Search for the network that does best: many are trained a little, the best of them longer. The choice is "
            "made on training images that were kept apart, and compared with the video's network on test images.",
            examples=(
                "search",
                "search --data digits --widths 8,32,128 --depths 1,2 --activations relu,tanh",
                "search --samples 60000 --epochs 27",
            ),
        ),
    ),
)


def analysis_of(name: str) -> Analysis:
    """Return the entry of a function."""
    return next(entry for entry in ANALYSES if entry.name == name)


def function_of(entry: Analysis) -> Callable[..., Any]:
    """Return the function of an analysis, which is imported for it."""
    function: Callable[..., Any] = getattr(import_module(f"probe.analyses.{entry.module}"), entry.name)
    return function


def study_of(entry: Analysis) -> Any:
    """Return the class of studies of an analysis, which is imported for it."""
    return getattr(import_module(f"probe.analyses.{entry.module}"), entry.study)


def command_with(name: str) -> Command:
    """Return the command that runs the analysis of a function, alone or with others."""
    return next(
        entry.command
        for entry in ANALYSES
        if entry.command is not None and name in (entry.command.analyses or (entry.name,))
    )
