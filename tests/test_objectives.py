import pytest

from probe._checks import InputError
from probe.objectives import Objective, class_logit, unit


def test_a_class_is_the_last_layers_pre_activation():
    assert class_logit(3) == Objective(layer=None, index=3, stage="pre_activation")
    assert class_logit(3).name == "class 3"


def test_a_unit_is_its_pre_activation_unless_asked_otherwise():
    assert unit("hidden_1", 4) == Objective("hidden_1", 4, "pre_activation")
    assert unit("hidden_1", 4, stage="activation") == Objective("hidden_1", 4, "activation")
    assert unit("hidden_1", 4).name == "hidden_1 unit 4"


@pytest.mark.parametrize("index", [-1, 1.0, True, "1"])
def test_an_index_counts_from_zero(index):
    with pytest.raises(InputError, match=f"index must be an integer of at least 0, got {index!r}"):
        class_logit(index)


def test_an_unknown_stage_is_refused():
    with pytest.raises(InputError, match="stage must be one of pre_activation, activation; got 'output'"):
        unit("hidden_1", 0, stage="output")
