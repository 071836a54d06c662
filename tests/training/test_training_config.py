import re

import numpy as np
import pytest

from probe import TrainingConfig
from probe._checks import InputError
from probe.optimizers import SGD, Adam, Momentum, Nesterov


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs must be an integer of at least 1, got 0"),
        ({"epochs": 2.0}, "epochs must be an integer of at least 1, got 2.0"),
        ({"batch_size": -1}, "batch_size must be an integer of at least 1, got -1"),
        ({"step_epochs": 0}, "step_epochs must be an integer of at least 1, got 0"),
        ({"learning_rate": 0}, "learning_rate must be a finite number above 0, got 0"),
        ({"learning_rate": -0.1}, "learning_rate must be a finite number above 0, got -0.1"),
        ({"learning_rate": np.nan}, "learning_rate must be a finite number above 0, got nan"),
        ({"learning_rate": "0.1"}, "learning_rate must be a finite number above 0, got '0.1'"),
        ({"momentum": 1.5}, "momentum must be a finite number at least 0 and at most 1, got 1.5"),
        ({"weight_decay": -1}, "weight_decay must be a finite number at least 0, got -1"),
        ({"step_factor": 0}, "step_factor must be a finite number above 0 and at most 1, got 0"),
        ({"cost": "hinge"}, "cost must be one of cross-entropy, quadratic; got 'hinge'"),
        ({"optimizer": "adm"}, "'adm' (did you mean 'adam'?)"),
        ({"schedule": "linear"}, "schedule must be one of constant, step, cosine; got 'linear'"),
        ({"stop": True}, "stop must be one of never, fitted; got True"),
        ({"evaluation": "never"}, "evaluation must be one of epoch, end; got 'never'"),
        ({"dtype": "float16"}, "dtype must be one of float32, float64; got 'float16'"),
        (
            {"stop": "fitted", "evaluation": "end"},
            "stop='fitted' needs evaluation='epoch', got evaluation='end'",
        ),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        TrainingConfig(**arguments)


def test_a_constant_rate_stays():
    assert {TrainingConfig(epochs=5).rate_factor(epoch) for epoch in range(5)} == {1.0}


def test_a_stepped_rate_falls_after_every_so_many_epochs():
    config = TrainingConfig(epochs=7, schedule="step", step_epochs=3, step_factor=0.5)
    assert [config.rate_factor(epoch) for epoch in range(7)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]


def test_a_cosine_rate_goes_along_half_a_wave():
    config = TrainingConfig(epochs=8, schedule="cosine")
    factors = [config.rate_factor(epoch) for epoch in range(8)]
    np.testing.assert_allclose(factors, np.cos(np.pi * np.arange(8) / 16) ** 2, rtol=1e-14)
    assert factors[0] == 1
    assert factors[4] == pytest.approx(0.5)
    assert config.rate_factor(8) == pytest.approx(0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("sgd", SGD()), ("momentum", Momentum(0.7)), ("nesterov", Nesterov(0.7)), ("adam", Adam())],
)
def test_the_optimizer_is_the_one_named(name, expected):
    assert TrainingConfig(optimizer=name, momentum=0.7).make_optimizer() == expected


def test_a_configuration_is_a_value():
    assert TrainingConfig(epochs=3) == TrainingConfig(epochs=3)
    with pytest.raises(AttributeError):
        TrainingConfig().epochs = 3
