"""A command and the function of its analysis do the same where nobody says otherwise."""

import inspect
import json
from dataclasses import asdict, fields
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import typer

import probe
from probe.analyses.capacity import CapacityDesign
from probe.analyses.memorization import MemorizationDesign
from probe.analyses.minima import MinimaDesign
from probe.analyses.robustness import RobustnessDesign
from probe.analyses.scores import ScoresDesign
from probe.analyses.verification import VerificationDesign
from probe.catalogue import ANALYSES, analysis_of, function_of
from probe.cli import app, run
from probe.cli._commands import training_options
from probe.cli._options import options_of, parsed
from probe.training import DEFAULT_ARCHITECTURE, DEFAULT_TRAINING, layered_training

COMMANDS = [entry for entry in ANALYSES if entry.command is not None]
STUDIES = [entry for entry in COMMANDS if entry.study]


def defaults(command):
    """Return the defaults of the parameters of a command."""
    made = typer.main.get_command(app(command)).commands[command]
    return {parameter.name: parameter.default for parameter in made.params}


READING = ("pixel_range", "mean", "std", "output", "from_logits", "architecture")
BACKEND = ("workers", "backend", "scheduler")


@pytest.mark.parametrize(("names", "needs"), [(READING, "from_logits"), (BACKEND, "backend")])
def test_a_model_is_read_and_a_study_is_run_with_the_same_options_by_all_commands(names, needs):
    commands = typer.main.get_command(app()).commands.values()
    options = [{parameter.name: parameter for parameter in command.params} for command in commands]
    shared = [[one.get(name) for name in names] for one in options if needs in one]
    assert len(shared) >= 4 and all(all(each) for each in shared)
    alike = {tuple((each.opts[0], each.default, each.help) for each in one) for one in shared}
    assert len(alike) == 1


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.command.name)
def test_a_command_passes_what_its_function_takes_by_default(entry):
    function, shown = function_of(entry), defaults(entry.command.name)
    signature = inspect.signature(function).parameters
    options = options_of(function, entry.options)
    passed = parsed(options, {option.name: shown[option.name] for option in options})
    for option in options:
        default = signature[option.name].default
        if option.name not in passed:
            assert default in (None, ()), option.name
        else:
            several = isinstance(passed[option.name], tuple) and not isinstance(default, tuple)
            assert passed[option.name] == ((default,) if several else default), option.name
    assert shown["seed"] == signature["seed"].default


@pytest.mark.parametrize("entry", STUDIES, ids=lambda entry: entry.command.name)
def test_a_study_trains_as_its_function_does(entry):
    study, shown = (
        getattr(import_module(f"probe.analyses.{entry.module}"), entry.study),
        defaults(entry.command.name),
    )
    config = study.default_config(study.default_architectures)
    assert all(shown[name] is None for name in entry.training)
    assert [option.shown for option in training_options(entry.training, config)] == [
        f"{value:g}" if isinstance(value, float) else str(value)
        for value in (getattr(config, name) for name in entry.training)
    ]
    split = probe.load_dataset("digits")
    alone, whole = (
        study.of(study.default_architectures, split),
        study.of(study.default_architectures, split, config),
    )
    assert alone == whole
    if hasattr(alone.design, "config"):  # the training of a range of recipes is that of each
        assert alone.design.config == config


DESIGNS = {
    "memorization": MemorizationDesign,
    "capacity": CapacityDesign,
    "memorization_scores": ScoresDesign,
    "minima": MinimaDesign,
    "robustness": RobustnessDesign,
    "verify": VerificationDesign,
}


@pytest.mark.parametrize("name", DESIGNS)
def test_a_function_has_the_defaults_of_its_design(name):
    signature = inspect.signature(function_of(analysis_of(name))).parameters
    for field in fields(DESIGNS[name]):
        if field.name not in signature or field.name in ("architectures", "architecture", "config"):
            continue
        default = signature[field.name].default
        if default is not None:  # else it follows from the data or from other arguments
            several = isinstance(field.default, tuple) and not isinstance(default, tuple)
            assert field.default == ((default,) if several else default), field.name


@pytest.mark.parametrize(("activation", "rate"), [("sigmoid", 1.0), ("relu", 0.1)])
def test_minima_of_a_function_and_of_a_command_have_one_learning_rate(activation, rate):
    study = probe.analyses.minima.MinimaStudy
    shapes = (probe.MLP((4,), activation),)
    assert study.default_config(shapes).learning_rate == rate
    assert study.of(shapes, probe.load_dataset("digits")).design.config.learning_rate == rate
    assert study.default_config((*shapes, probe.MLP((4,), "relu"))).learning_rate == 0.1


def test_help_shows_the_training_that_is_done_alone_and_with_like(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {
        option.name: option for option in typer.main.get_command(app("train")).commands["train"].params
    }
    of_mnist, names = (
        layered_training(60_000),
        [f.name for f in fields(DEFAULT_TRAINING) if f.name in options],
    )
    assert len(names) == 8
    assert options["buffer"].default is None and options["buffer"].show_default is False
    for name in sorted(set(names) - {"buffer"}):
        alone, like = (
            f"{value:g}" if isinstance(value, float) else str(value)
            for value in (getattr(DEFAULT_TRAINING, name), getattr(of_mnist, name))
        )
        shown = alone if alone == like else f"{alone}; with --like {like}"
        assert options[name].default is None and options[name].show_default == shown
    assert f"{of_mnist.epochs} epochs for the 60,000 images of MNIST" in options["like"].help
    few = digits.train.take(range(50))
    np.savez("few.npz", images=few.images, labels=np.arange(50) % 10)
    n = len(probe.load_dataset("few.npz").train)
    probe.save_network(
        probe.train(probe.MLP((3,)), digits, probe.TrainingConfig(epochs=1)).network, "bare.h5"
    )
    done = {
        "alone": ([], DEFAULT_TRAINING),
        "recorded": (["--like", "alone/model.h5"], DEFAULT_TRAINING),
        "like": (["--like", "bare.h5"], layered_training(n)),
    }
    for out, (arguments, config) in done.items():
        assert run(["train", *arguments, "--data", "few.npz", "--out", out]) == 0
        assert json.loads(Path(out, "results.json").read_text())["config"] == asdict(config)


def test_training_is_that_of_its_command(digits):
    shown = defaults("train")
    # What is typed out is told from what is left out: --like goes with neither.
    for name in ("hidden", "activation", "output", "initialization"):
        assert shown[name] is None
    assert probe.MLP() == DEFAULT_ARCHITECTURE
    small = probe.Split(digits.train.take(range(50)), digits.test.take(range(20)), "few")
    shape = probe.MLP((3,))
    one, other = probe.train(shape, small), probe.train(shape, small, DEFAULT_TRAINING)
    assert one.history.n_epochs == DEFAULT_TRAINING.epochs
    images = small.test.images
    assert (one.network.logits(images) == other.network.logits(images)).all()
