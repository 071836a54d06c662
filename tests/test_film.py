"""Films: what training was at some moments, in memory and in model files."""

import json
import signal
import threading
from dataclasses import asdict, replace

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import probe
from probe.film import MOST_VALUES, Film, affordable_frames, moments
from probe.network import Network
from probe.parameters import ParameterSpace

MLP, CONFIG = probe.MLP((6, 5)), probe.TrainingConfig(epochs=3, batch_size=20, learning_rate=0.7)


@pytest.fixture(scope="module")
def filmed(small_digits):
    return probe.train(MLP, small_digits, CONFIG, seed=3, frames=8)


def vectors(networks):
    return np.stack([ParameterSpace(network).vector for network in networks])


@given(st.integers(1, 500), st.integers(1, 2_000), st.integers(2, 60))
def test_moments_are_few_and_go_from_the_start_to_the_end(n_epochs, per_epoch, frames):
    found = moments(n_epochs, per_epoch, frames)
    assert found[0] == 0 and found[-1] == n_epochs * per_epoch
    assert (np.diff(found) > 0).all()
    assert len(found) <= frames
    # Behind the first epoch, ends of epochs.
    assert all(update % per_epoch == 0 for update in found if update > per_epoch)


def test_half_of_the_moments_of_the_report_are_in_the_first_epoch():
    found = moments(20, 600, 21)
    assert len(found) == 21
    assert [update for update in found if update < 600] == [0, 1, 2, 5, 10, 20, 50, 100, 200, 500]


def test_a_film_changes_nothing_that_is_trained(small_digits, filmed):
    plain = probe.train(MLP, small_digits, CONFIG, seed=3)
    assert plain.film is None
    for name in ("cost", "train_accuracy", "test_accuracy", "gradient_norm"):
        np.testing.assert_array_equal(getattr(plain.history, name), getattr(filmed.history, name))
    np.testing.assert_array_equal(*vectors([plain.network, filmed.network]))


def test_its_moments_are_those_of_gradient_descent_by_hand(small_digits, filmed):
    film, train = filmed.film, small_digits.train
    assert film.updates.tolist() == [0, 1, 2, 5, 10, 20, 30]
    order = np.random.default_rng(3).spawn(2)[1].spawn(1)[0]
    space, by_hand, done = ParameterSpace(film.network(0)), {}, 0
    vector = space.vector.copy()
    by_hand[0] = vector.copy()
    for _ in range(CONFIG.epochs):
        rows = order.permutation(len(train))
        for begin in range(0, len(rows), 20):
            taken = rows[begin : begin + 20]
            vector -= 0.7 * space.gradient(train.images[taken], train.labels[taken], vector)[1]
            done += 1
            by_hand[done] = vector.copy()
    expected = np.stack([by_hand[update] for update in film.updates])
    np.testing.assert_allclose(vectors(film.network(k) for k in range(len(film))), expected, atol=2e-5)


def test_what_is_measured_is_that_of_its_networks(small_digits, filmed):
    film = filmed.film
    train, test = small_digits.train, small_digits.test
    for k in range(len(film)):
        cost, _ = ParameterSpace(film.network(k)).measure(train.images, train.labels)
        assert film.cost[k] == pytest.approx(cost, abs=1e-5)
        assert film.test_accuracy[k] == (film.network(k).predict(test.images) == test.labels).mean()
    assert film.test_accuracy[-1] == filmed.history.test_accuracy[-1]


def test_every_network_of_a_population_has_its_own(small_digits):
    labels = np.random.default_rng(0).integers(10, size=(3, 200))
    config = replace(CONFIG, learning_rate=1.0)
    found = probe.train_population(
        probe.MLP((6, 5), "relu"),
        small_digits,
        config,
        n_networks=3,
        labels=labels,
        learning_rates=np.array([0.5, 1e30, 0.1]),
        shard_size=2,
        frames=5,
    )
    assert found.diverged_epoch[1] == 1
    assert [film.updates.tolist() for film in found.films] == [[0, 1, 2, 10, 30], [0], [0, 1, 2, 10, 30]]
    for k, film in enumerate(found.films):
        ends = vectors([film.network(-1), found.population.network(k)])
        np.testing.assert_array_equal(*ends)
        cost, _ = ParameterSpace(film.network(0)).measure(small_digits.train.images, labels[k])
        assert film.cost[0] == pytest.approx(cost, abs=1e-5)


def test_it_ends_where_a_network_was_frozen(digits):
    config = probe.TrainingConfig(epochs=40, batch_size=20, stop="fitted", until=0.5)
    film = probe.train(MLP, digits, config, frames=30).film
    assert film.updates[-1] < 40 * 73 and film.updates[-1] % 73 == 0
    assert film.test_accuracy[-1] > 0.4


def test_it_ends_where_training_was_interrupted(small_digits):
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def stop(event):
        if event.done == 2:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    config = replace(CONFIG, epochs=100_000)
    found = probe.train(MLP, small_digits, config, frames=8, progress=stop)
    assert found.interrupted
    assert found.film.updates[-1] == 10 * found.history.n_epochs
    np.testing.assert_array_equal(*vectors([found.film.network(-1), found.network]))


@pytest.mark.parametrize("frames", [0, 1, -3, 1_001, 2.5, "all"])
def test_nonsense_for_frames_is_refused(small_digits, frames):
    with pytest.raises(probe.InputError, match="frames must be"):
        probe.train(MLP, small_digits, CONFIG, frames=frames)


def test_moments_outside_are_refused(filmed):
    with pytest.raises(probe.InputError, match="index must be an integer from -7 to 6, got 7"):
        filmed.film.network(7)


def test_films_that_do_not_fit_are_refused(filmed, small_network):
    with pytest.raises(probe.InputError, match="the network has no 'hidden_1/kernel'"):
        filmed.film.of(small_network)
    with pytest.raises(probe.InputError, match="updates of a film must be increasing"):
        replace(filmed.film, updates=filmed.film.updates[::-1])
    with pytest.raises(probe.InputError, match=r"cost must have shape \(7,\), got \(6,\)"):
        replace(filmed.film, cost=filmed.film.cost[1:])


def test_large_networks_have_shorter_films_and_then_none():
    assert [affordable_frames(n) for n in (13_002, 101_770, 600_000, 700_000)] == [21, 19, 3, None]
    assert affordable_frames(101_770) * 101_770 <= MOST_VALUES


def kept(filmed, tmp_path):
    return probe.save_network(filmed.network, tmp_path / "model.h5", film=filmed.film)


def test_a_model_file_keeps_it(filmed, tmp_path):
    path = kept(filmed, tmp_path)
    film = probe.load_film(path)
    for name in ("updates", "cost", "test_accuracy"):
        np.testing.assert_array_equal(getattr(film, name), getattr(filmed.film, name))
    for name, values in filmed.film.parameters.items():
        # Half precision of the largest.
        np.testing.assert_allclose(film.parameters[name], values, atol=np.abs(values).max() * 2**-11)
        assert film.parameters[name].dtype == np.float32
    np.testing.assert_array_equal(*vectors([film.network(-1), filmed.network]))
    assert path.read_bytes() == kept(filmed, tmp_path / "again").read_bytes()


def test_keras_opens_a_file_with_a_film(filmed, small_digits, tmp_path):
    keras = pytest.importorskip("keras")
    model = keras.models.load_model(kept(filmed, tmp_path), compile=False)
    images = small_digits.test.images[:5]
    outputs = model.predict(images, verbose=0)
    np.testing.assert_allclose(outputs, filmed.network.outputs(images), atol=1e-5)


def test_files_without_one_have_none(filmed, tmp_path):
    assert probe.load_film(probe.save_network(filmed.network, tmp_path / "a.h5")) is None


def test_films_that_could_not_be_read_again_are_not_written(filmed, small_network, tmp_path):
    film = filmed.film
    broken = {**film.parameters, "output/bias": np.full_like(film.parameters["output/bias"], np.nan)}
    with pytest.raises(probe.InputError, match="output/bias that are NaN"):
        probe.save_network(filmed.network, tmp_path / "a.h5", film=replace(film, parameters=broken))
    with pytest.raises(probe.InputError, match="the network has no"):
        probe.save_network(small_network, tmp_path / "a.h5", film=film)
    n = MOST_VALUES // 64 + 1
    long = Film(
        last=filmed.network,
        updates=np.arange(n),
        parameters={"hidden_1/bias": np.zeros((n, 6), "f4")},
        cost=np.zeros(n),
        test_accuracy=np.zeros(n),
    )
    with pytest.raises(probe.InputError, match="pass fewer frames"):
        probe.save_network(filmed.network, tmp_path / "a.h5", film=long)
    assert not (tmp_path / "a.h5").exists()


def replaced(name, values):
    def edit(group):
        del group[name]
        group[name] = values

    return edit


def listing(change):
    def edit(group):
        parts = json.loads(group.attrs["parameters"])
        group.attrs["parameters"] = json.dumps(change(parts))

    return edit


def linked(group):
    del group["0"]
    group["0"] = h5py.ExternalLink("/etc/passwd", "/x")


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (replaced("updates", np.arange(7)[::-1]), "holds no film: updates of a film must be increasing"),
        (replaced("updates", np.arange(6)), r"cost has shape \(7,\), expected \(6,\)"),
        (replaced("updates", np.arange(0)), r"updates of shape \(0,\)"),
        (replaced("updates", np.zeros((7, 1), "i8")), r"updates of shape \(7, 1\)"),
        (replaced("updates", np.zeros(7)), "updates holds float64"),
        (replaced("updates", np.arange(100_000)), r"updates of shape \(100000,\)"),
        (replaced("cost", np.full(7, np.inf)), "has cost that are NaN or infinite"),
        (replaced("cost", np.zeros(7, "S3")), "cost holds"),
        (replaced("0", np.full((6, 64, 6), np.nan, "f2")), "hidden_1/kernel that are NaN"),
        (replaced("0", np.zeros((6, 64, 7), "f2")), r"has shape \(6, 64, 7\), expected \(6, 64, 6\)"),
        (lambda group: group.__delitem__("1"), "film/1 is missing"),
        (lambda group: group.__delitem__("updates"), "film/updates is missing"),
        (linked, "is a link"),
        (lambda group: group.attrs.__delitem__("parameters"), "no attribute 'parameters'"),
        (lambda group: group.attrs.__setitem__("parameters", "["), "not valid JSON"),
        (listing(lambda parts: {}), "must be a list of 1 to 4,000 arrays"),
        (listing(lambda parts: []), "must be a list of 1 to 4,000 arrays"),
        (listing(lambda parts: [3]), "must hold a name of its own"),
        (listing(lambda parts: [parts[0]] * 6), "must hold a name of its own"),
        (listing(lambda parts: [{**parts[0], "scale": 0.0}]), "a scale above 0"),
        (listing(lambda parts: [{**parts[0], "scale": "1"}]), "a scale above 0"),
        (listing(lambda parts: [{**parts[0], "scale": 1e400}]), "a scale above 0"),
        (listing(lambda parts: [{**parts[0], "scale": 1e300}]), "that are NaN or infinite"),
        (listing(lambda parts: [{**parts[0], "name": "a/kernel"}]), "which the network has not"),
    ],
)
def test_damaged_and_hostile_films_are_refused_and_the_network_is_read(filmed, tmp_path, edit, match):
    path = kept(filmed, tmp_path)
    with h5py.File(path, "r+") as file:
        edit(file["probe/film"])
    with pytest.raises(probe.ModelFileError, match=match):
        probe.load_film(path)
    np.testing.assert_array_equal(*vectors([probe.load_network(path), filmed.network]))


def test_more_than_is_read_is_refused_before_it_is_read(filmed, tmp_path):
    path = kept(filmed, tmp_path)
    n = 1_000
    wide = Network(
        probe.train(probe.MLP((40,)), *_wide()).network.layers, (8, 8), _wide()[0].train.class_names
    )
    path = probe.save_network(wide, path)
    with h5py.File(path, "r+") as file:
        group = file["probe"].create_group("film")
        group.attrs["parameters"] = json.dumps([{"name": "hidden_1/kernel", "scale": 1.0}])
        for name, values in (
            ("updates", np.arange(n)),
            ("cost", np.zeros(n)),
            ("test_accuracy", np.zeros(n)),
        ):
            group[name] = values
        group.create_dataset("0", (n - 1, 64, 40), "f2", compression="gzip")
    with pytest.raises(probe.ModelFileError, match="more than the 2,000,000 values that are read"):
        probe.load_film(path)


def _wide():
    split = probe.load_dataset("digits")
    return probe.Split(
        split.train.take(slice(0, 50)), split.test.take(slice(0, 20)), "few"
    ), probe.TrainingConfig(epochs=1)


def test_the_commands_record_it_and_pass_it_on(tmp_path):
    from probe.workflow import convert_model, inspect_model, train_model
    from probe.workflow.models import Reading

    train_model(asdict(MLP), {"epochs": 2}, data="digits", out=tmp_path / "t")
    model = tmp_path / "t" / "model.h5"
    film = probe.load_film(model)
    assert film.updates.tolist()[:4] == [0, 1, 2, 5] and film.updates[-1] == 30
    assert "film of the training: 7 moments, updates 0 to 30" in inspect_model(model).summary
    convert_model(model, tmp_path / "wider.h5", reading=Reading(pixel_range=(0.0, 255.0)))
    passed = probe.load_film(tmp_path / "wider.h5")
    assert passed.last.layer_names[0] == "range"
    np.testing.assert_array_equal(passed.parameters["hidden_2/bias"], film.parameters["hidden_2/bias"])


def test_the_report_records_it_and_passes_it_on(digits, tmp_path):
    from probe._progress import silent
    from probe.recipes import RECIPES
    from probe.workflow import _report
    from probe.workflow._owner import Owner
    from probe.workflow.models import Reading

    recipe = replace(RECIPES["modern"], config=probe.TrainingConfig(epochs=2), adapts=False)
    trained, _ = _report._trained(Owner("probe report", 0, digits), digits, recipe, silent)
    (tmp_path / "model.h5").write_bytes(_report._kept_bytes(trained))
    kept = probe.load_film(tmp_path / "model.h5")
    np.testing.assert_array_equal(kept.updates, trained.film.updates)
    with pytest.warns(probe.ProbeWarning):
        again = _report._loaded(tmp_path / "model.h5", digits, Reading(pixel_range=(0.0, 255.0)))
    assert again.film.last.layer_names == again.network.layer_names
    (tmp_path / "again.h5").write_bytes(_report._kept_bytes(again))
    np.testing.assert_array_equal(probe.load_film(tmp_path / "again.h5").cost, kept.cost)
