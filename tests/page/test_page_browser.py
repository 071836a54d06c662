"""The living page, used as people use it: drawn on, clicked, typed at, printed, on small and large screens."""

import io
import json

import numpy as np
import planted
import pytest
from browser import Opened, axe, chromium, page_about  # noqa: F401
from PIL import Image

import probe
from probe.layers import Conv2D, Dense, Flatten, MaxPooling2D
from probe.network import Network
from probe.pages import Section
from probe.pages._drawing import Drawn, Easel
from probe.workflow.notebook import ReportPage

PLAYS = ("learning", "units", "drawing", "noise", "memorization", "landscape")


@pytest.fixture(scope="module", autouse=True)
def pictures_as_dots():
    """No page here is about its still pictures."""
    dot = io.BytesIO()
    Image.new("RGB", (1, 1)).save(dot, "png")
    drawn = Drawn(dot.getvalue(), b"<svg/>")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Easel, "drawn", lambda self, drawings, *progress: [drawn] * len(drawings))
        yield


@pytest.fixture(scope="module")
def taught(digits):
    config = probe.TrainingConfig(epochs=20, batch_size=20, learning_rate=1.0)
    return probe.train(probe.MLP(hidden=(12, 9)), digits, config, seed=0, frames=12)


@pytest.fixture(scope="module")
def file(taught, digits, tmp_path_factory):
    """A page with every chapter, on scikit-learn's digits."""
    classes, quick = digits.train.class_names, probe.TrainingConfig(epochs=3, stop="fitted")
    memorized = probe.memorization(probe.MLP((12,)), digits, quick, n_samples=(40,), replicates=2)
    around = probe.landscape(
        taught.network, digits, parts=("surface",), n_networks=2, resolution=5, n_directions=20, n_images=50
    )
    sections = (
        Section(key="drawing", results={"drawing": planted.drawings(classes, (8, 8))}),
        Section(key="noise", results={"noise": planted.noise(classes, (8, 8))}),
        Section(key="memorization", results={"memorization": memorized}),
        Section(key="surface", results={"landscape": around}),
    )
    folder = tmp_path_factory.mktemp("page")
    return page_about(
        folder,
        taught.network,
        digits,
        film=taught.film,
        sections=sections,
        results={"memorization": memorized},
    )


@pytest.fixture
def opened(chromium, file):  # noqa: F811
    with Opened(chromium, file) as page:
        yield page
        assert page.said == []
        assert page.asked == [file.as_uri()]


def test_it_opens_with_a_test_image_that_it_names(opened, taught, digits):
    first = np.flatnonzero(taught.network.predict(digits.test.images) == digits.test.labels)[0]
    expected = taught.network.predict_proba(digits.test.images[first : first + 1])[0]
    assert opened.probabilities == pytest.approx(expected, abs=1e-4)
    assert opened.sentence.startswith(f"It says {expected.argmax()}, ")
    assert not opened.is_visible(".still")
    boxes = [opened.locator(f"#living {part}").bounding_box() for part in (".pad", ".net", ".story")]
    assert all(box["y"] + box["height"] <= 900 for box in boxes)


@pytest.mark.parametrize("width", [360, 1280, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(chromium, file, width, scheme):  # noqa: F811
    size = {"width": width, "height": 900}
    with Opened(chromium, file, viewport=size, color_scheme=scheme) as opened:
        for key in PLAYS:
            opened.play(key)
        opened.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert opened.box_is_wide() == []
        opened.evaluate("location.hash = '#hidden_1/0'")
        opened.wait_for_selector(".card[open]")
        assert opened.box_is_wide() == []
        assert opened.said == []


def drawn(opened):
    """Draw a stroke in the upper left, and return what the network sees."""
    pad = opened.locator(".pad").bounding_box()
    opened.press("clear")
    for k, at in enumerate((0.1, 0.2, 0.4)):
        opened.mouse.move(pad["x"] + at * pad["width"], pad["y"] + at * pad["height"], steps=5)
        if k == 0:
            opened.mouse.down()
    opened.mouse.up()
    opened.wait_for_timeout(100)
    assert "It says" in opened.sentence
    seen = np.array(opened.evaluate("[...probe.subject.x]")).reshape(8, 8)
    assert seen.max() > 0.5
    rows, columns = np.mgrid[:8, :8] + 0.5
    return (seen * rows).sum() / seen.sum(), (seen * columns).sum() / seen.sum()


def test_a_drawing_is_seen_and_fills_the_image_as_the_digits_do(opened):
    row, column = drawn(opened)
    assert abs(row - 4) < 0.6 and abs(column - 4) < 0.6


def test_a_drawing_is_centered_where_the_images_are(chromium, tmp_path):  # noqa: F811
    side = np.abs(np.arange(8) - 3.5)
    images = np.tile(np.exp(-np.add.outer(side, side)).astype(np.float32), (60, 1, 1))
    data = probe.Dataset(images, np.arange(60) % 2, ("a", "b"))
    layers = (Flatten("flatten"), random_layer(Dense, "output", 64, 2, activation="softmax"))
    file = page_about(tmp_path, network_of(layers, (8, 8), 2, ("a", "b")), probe.Split(data, data, "blobs"))
    with Opened(chromium, file) as opened:
        row, column = drawn(opened)
        assert abs(row - 4) < 0.2 and abs(column - 4) < 0.2
        assert "center of mass are those of the training images" in opened.inner_text("#living")


def test_a_thousand_strokes_are_read_as_python_reads_them(opened, taught):
    rng = np.random.default_rng(0)
    strokes = [
        np.cumsum(rng.normal(scale=0.06, size=(12, 2)), axis=0) + rng.uniform(0.3, 0.7, 2)
        for _ in range(1000)
    ]
    found = opened.evaluate(
        """(strokes) => strokes.map((points) => {
          const { pad } = probe.living, { scratch } = probe.subject;
          pad.clear();
          points.forEach((to, k) => pad.line(points[Math.max(0, k - 1)], to));
          const x = probe.prepared(pad);
          scratch.forward(x);
          return [[...x], [...scratch.probabilities()]];
        })""",
        [stroke.tolist() for stroke in strokes],
    )
    images = np.array([x for x, _ in found], np.float32).reshape(-1, 8, 8)
    assert (images.max(axis=(1, 2)) > 0.3).mean() > 0.99
    expected = taught.network.predict_proba(images)
    assert np.abs(expected - np.array([p for _, p in found])).max() < 1e-4
    assert len(set(expected.argmax(axis=1))) > 3


def test_each_button_shows_what_it_says(opened, taught, digits):
    names = digits.train.class_names
    opened.press("a test digit")
    assert "Its label" in opened.inner_text("#living")
    opened.press("one it gets wrong")
    label = opened.inner_text("#living").split("Its label: ")[1][0]
    assert label in names and not opened.sentence.startswith(f"It says {label}")
    before = opened.evaluate("[...probe.subject.x]")
    opened.press("shuffle its pixels")
    assert sorted(before) == pytest.approx(sorted(opened.evaluate("[...probe.subject.x]")))
    opened.press("noise")
    noise = np.array(opened.evaluate("[...probe.subject.x]"))
    assert 0.3 < noise.mean() < 0.7 and noise.std() > 0.2
    opened.locator("#living select").first.select_option(index=3)
    opened.press("its favorite")
    assert opened.sentence.startswith("It says 3, ")
    opened.press("clear")
    assert max(opened.evaluate("[...probe.subject.x]")) == 0


def test_the_three_sentences_play(opened):
    links = opened.locator("#living .story button")
    assert links.count() == 3
    links.nth(2).click()
    assert opened.sentence.startswith("It says 3, ")
    links.nth(1).click()
    said = opened.inner_text("#living .story").split("% sure that")[0].split()[-1]
    shown = float(opened.sentence.split(", ")[1].split("%")[0])
    assert abs(shown - int(said)) <= 0.5


@pytest.mark.parametrize("layer", ["hidden_1", "hidden_2", "output"])
def test_each_card_has_an_address_and_its_sum_is_right(opened, taught, digits, layer):
    network = taught.network
    index = opened.evaluate("probe.firstRight()")
    x = digits.test.images[index : index + 1]
    z = network.pre_activations(x)[layer]
    for unit in range(z.shape[1]):
        opened.evaluate(f"location.hash = '#{layer}/{unit}'")
        opened.until(f"document.querySelector('.card h2')?.textContent.endsWith('{unit}')")
        sums = opened.evaluate(f"probe.subject.network.contributions('{layer}', {unit})")
        assert sums["sum"] == pytest.approx(float(z[0, unit]), abs=1e-4)
        assert "What the network loses without it" in opened.inner_text(".card")
    assert opened.locator(".card .strip").count() == 2


def test_the_film_moves_with_its_slider(opened, taught):
    play = opened.play("learning")
    slider = play.locator("input[type=range]").first
    sums = []
    for k in (0, 5, len(taught.film.updates) - 1):
        opened.set(slider, k)
        assert (
            f"After {taught.film.updates[k]:,} updates: {taught.film.test_accuracy[k]:.1%}"
            in play.inner_text()
        )
        sums.append(play.locator(".tile").first.evaluate("(tile) => tile.toDataURL()"))
    assert len(set(sums)) == 3


def test_a_new_network_learns_and_one_of_steps_does_not(opened):
    play = opened.play("learning")

    def trained(kind):
        play.get_by_label("units").select_option(kind)
        play.get_by_role("button", name="train", exact=True).click()
        play.get_by_role("button", name="train", exact=True).wait_for()
        words = play.locator(".says").last.inner_text()
        return float(words.split("epochs: ")[1].split("%")[0])

    play.get_by_label("learning rate").select_option("1")
    assert trained("sigmoid") > 70
    assert trained("step") < 70


def test_surgery_is_pythons_and_can_be_undone(opened, taught, digits):
    play, network = opened.play("units"), taught.network
    before = opened.probabilities
    play.get_by_label("unit", exact=True).select_option("4")
    opened.press("silence", "[data-play=units]")
    output = network.dense_layers[1]
    kernel = output.kernel.copy()
    kernel[4] = 0
    edited = Network(
        tuple(
            Dense("hidden_2", kernel, output.bias, "sigmoid") if one is output else one
            for one in network.layers
        ),
        network.input_shape,
        network.class_names,
    )
    right = (edited.predict(digits.test.images) == digits.test.labels).mean()
    assert f"It names {right:.1%} of" in play.inner_text()
    opened.press("clone", "[data-play=units]")
    assert f"It names {right:.1%} of" in play.inner_text()
    opened.press("flip its sign", "[data-play=units]")
    opened.set(play.get_by_label("share of the smallest"), 0.9)
    assert "pruned the smallest 90%" in play.inner_text()
    with opened.expect_download() as saved:
        opened.press("save the edits", "[data-play=units]")
    edits = json.loads(saved.value.path().read_text())
    assert [edit["op"] for edit in edits] == ["silence", "clone", "flip", "prune"]
    for _ in edits:
        opened.press("undo", "[data-play=units]")
    assert opened.probabilities == pytest.approx(before)


def test_noise_fills_its_histogram(opened):
    play = opened.play("noise")
    play.get_by_text("Of 1,000 noise images").wait_for()
    assert play.locator("rect").count() > 3
    assert play.locator(".tiles button").count() == 8
    bars = "[...document.querySelectorAll('[data-play=noise] rect')].map((one) => one.outerHTML).join()"
    first = opened.evaluate(bars)
    # The sentence may stay the same, as it gives whole percents: new tiles say that all images were answered.
    opened.evaluate("document.querySelector('[data-play=noise] .tiles').firstChild.id = 'old-tile'")
    play.get_by_label("kind of noise").select_option("gaussian")
    opened.until("!document.getElementById('old-tile')")
    assert opened.evaluate(bars) != first


def test_random_labels_take_longer(opened):
    play = opened.play("memorization")
    opened.press("train both to the end", "[data-play=memorization]")
    play.get_by_text("times as many updates. On").wait_for(timeout=60_000)
    ratio = float(play.inner_text().split("Shuffled labels took ")[1].split()[0])
    assert ratio > 1


def test_it_draws_in_the_page(opened):
    play = opened.play("drawing")
    play.get_by_text("Step 300").wait_for()
    play.get_by_label("class to draw").select_option(index=5)
    play.get_by_text("Step 300: ").wait_for()
    opened.press("show it to the network", "[data-play=drawing]")
    assert opened.sentence.startswith("It says 5, ")


def test_a_step_downhill_lowers_the_cost(opened):
    play = opened.play("landscape")
    opened.set(play.get_by_label("length of the step"), -2)
    words = play.locator(".says").last.inner_text()
    down, random = (float(part.split()[0].rstrip(",.").replace("−", "-")) for part in words.split(" by ")[1:])
    assert down < 0 and down < random
    assert play.locator("canvas.plane").count() == 1
    opened.set(play.get_by_label("moment of the path"), 0)
    assert "After 0 updates" in play.inner_text()


def test_the_keyboard_does_everything(opened):
    opened.press("clear")
    opened.locator(".pad").focus()
    opened.keyboard.press(" ")
    for key in ("ArrowDown",) * 6 + ("ArrowLeft",) * 4:
        opened.keyboard.press(key)
    opened.wait_for_timeout(100)
    assert max(opened.evaluate("[...probe.subject.x]")) > 0.5
    opened.keyboard.press("Backspace")
    opened.wait_for_timeout(100)
    assert max(opened.evaluate("[...probe.subject.x]")) == 0
    # From the pad by Tab to the units, through them by arrows, into a card by Enter, out by Escape.
    for _ in range(30):
        opened.keyboard.press("Tab")
        if opened.evaluate("document.activeElement.classList.contains('unit')"):
            break
    opened.keyboard.press("ArrowDown")
    label = opened.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label.startswith("hidden_1, unit 1")
    opened.keyboard.press("Enter")
    opened.wait_for_selector(".card[open]")
    assert opened.inner_text(".card h2") == "hidden_1, unit 1"
    opened.keyboard.press("Escape")
    assert not opened.is_visible(".card")
    assert opened.evaluate("document.activeElement.getAttribute('aria-label')") == label


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_in_the_way_of_who_cannot_see_it(chromium, file, scheme):  # noqa: F811
    with Opened(chromium, file, color_scheme=scheme) as opened:
        for key in PLAYS:
            opened.play(key)
        opened.play("noise").get_by_text("Of 1,000 noise images").wait_for()
        opened.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert axe(opened) == []
        opened.evaluate("location.hash = '#hidden_1/3'")
        opened.wait_for_selector(".card[open]")
        assert axe(opened) == []


def test_without_a_script_it_is_a_page_of_words_and_pictures(chromium, file):  # noqa: F811
    with Opened(chromium, file, java_script_enabled=False) as opened:
        assert not opened.is_visible("#living")
        assert opened.locator(".play:visible").count() == 0
        assert opened.locator("h2").count() >= len(PLAYS)
        opened.locator("summary").last.click()
        assert "How does it learn?" in opened.inner_text("main")


def test_it_prints(opened):
    assert opened.page.pdf().startswith(b"%PDF")


def test_links_into_folded_parts_open_them(opened):
    opened.evaluate("location.hash = '#noise'")
    opened.until("document.getElementById('noise').getBoundingClientRect().height > 0")


def test_results_and_pictures_can_be_saved(opened):
    with opened.expect_download() as saved:
        opened.page.get_by_role("button", name="all results as JSON").click()
    results = json.loads(saved.value.path().read_text())
    assert results["network"]["n_parameters"] > 0
    play = opened.play("noise")
    with opened.expect_download() as saved:
        play.get_by_role("button", name="save as PNG").first.click()
    assert saved.value.path().read_bytes().startswith(b"\x89PNG")


def network_of(layers, shape, n_classes, names=()):
    return Network(layers, shape, names or tuple(map(str, range(n_classes))))


def data_of(shape, names, n=60):
    rng = np.random.default_rng(0)
    images = rng.random((n, *shape), dtype=np.float32)
    data = probe.Dataset(images, rng.integers(len(names), size=n), names)
    return probe.Split(data, data, "made up")


def random_layer(kind, name, *shape, activation="relu"):
    rng = np.random.default_rng(len(name))
    kernel = (rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)
    return kind(name, kernel, np.zeros(shape[-1], np.float32), activation_name=activation)


HOSTILE = ("a < b & c", "\"quoted\" 'name'", "è/ü#?%")
OTHERS = {
    "hostile names": ((6, 6), HOSTILE, "<b>hidden</b>/é ü"),
    "twenty long names": ((6, 6), tuple(f"{k} " + "a long name of a class" * 2 for k in range(20)), "hidden"),
    "color": ((8, 8, 3), ("red", "green"), "hidden"),
    "wide": ((6, 6), ("a", "b"), "hidden"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_dense_networks_live_too(chromium, tmp_path, case):  # noqa: F811
    shape, names, hidden = OTHERS[case]
    n = 300 if case == "wide" else 7
    layers = (
        Flatten("flatten"),
        random_layer(Dense, hidden, int(np.prod(shape)), n),
        random_layer(Dense, "output", n, len(names), activation="softmax"),
    )
    network, split = network_of(layers, shape, len(names), names), data_of(shape, names)
    file = page_about(tmp_path, network, split)
    with Opened(chromium, file) as opened:
        p = network.predict_proba(split.test.images[:1])[0]
        opened.evaluate("probe.look(probe.test.image(0))")
        assert opened.probabilities == pytest.approx(p, abs=1e-2)  # colors are rounded to 8 bits
        opened.locator("#living .unit").nth(2).click()
        opened.wait_for_selector(".card[open]")
        assert opened.box_is_wide() == []
        assert opened.said == [] and opened.asked == [file.as_uri()]
        for key in PLAYS[:2]:
            opened.play(key)
    with Opened(chromium, file, viewport={"width": 360, "height": 700}) as opened:
        assert opened.box_is_wide() == []


def test_a_convolutional_network_shows_its_maps(chromium, tmp_path):  # noqa: F811
    layers = (
        random_layer(Conv2D, "conv", 3, 3, 3, 5),
        MaxPooling2D("pool", (2, 2)),
        Flatten("flatten"),
        random_layer(Dense, "output", 5 * 3 * 3, 3, activation="softmax"),
    )
    network, split = network_of(layers, (8, 8, 3), 3), data_of((8, 8, 3), ("0", "1", "2"))
    file = page_about(tmp_path, network, split)
    with Opened(chromium, file) as opened:
        p = network.predict_proba(split.test.images[:1])[0]
        opened.evaluate("probe.look(probe.test.image(0))")
        assert opened.probabilities == pytest.approx(p, abs=1e-2)
        assert opened.locator("#living .map").count() == 5
        opened.locator("#living .map").first.click()
        opened.wait_for_selector(".card[open]")
        assert "its feature map" in opened.inner_text(".card")
        opened.keyboard.press("Escape")
        opened.press("its favorite")
        assert opened.sentence.startswith("It says 0, ")
        assert opened.said == []


def test_a_network_that_is_too_large_is_said_to_be(chromium, tmp_path, monkeypatch, taught, digits):  # noqa: F811
    monkeypatch.setattr("probe.pages.page.encoding.MOST_WEIGHTS", 100)
    file = page_about(tmp_path, taught.network, digits)
    with Opened(chromium, file) as opened:
        assert "not alive" in opened.inner_text("#living")
        assert opened.said == []


def test_what_it_looks_at_stays_when_plays_begin_and_when_it_is_changed(opened):
    before = opened.evaluate("[...probe.subject.x]")
    for key in PLAYS:
        opened.play(key)
    assert opened.evaluate("[...probe.subject.x]") == before
    opened.press("silence", "[data-play=units]")
    assert opened.evaluate("[...probe.subject.x]") == before
    assert opened.is_visible(".changed")
    wrong = opened.evaluate("probe.wrong().map((k) => [k, probe.verdict(probe.test.image(k)).name])")
    labels = opened.evaluate("[...probe.test.labels]")
    assert wrong and all(name != str(labels[k]) for k, name in wrong)


@pytest.mark.parametrize("address", ["%E0%A4%A", "hidden_9/4", "hidden_1/999", "/", "hidden_1/", "%25/0"])
def test_nonsense_in_the_address_is_nothing(chromium, file, address):  # noqa: F811
    with Opened(chromium, file) as opened:
        opened.evaluate(f"location.hash = '#{address}'")
        opened.wait_for_timeout(100)
        assert not opened.is_visible(".card")
        assert opened.said == []
    opened = Opened(chromium, file)
    opened.page.goto(f"{file.as_uri()}#{address}")
    opened.page.reload()
    opened.page.wait_for_selector("#living .says:not(:empty)")
    assert opened.said == []
    opened.context.close()


def test_cards_keep_the_focus_where_it_was(opened):
    opened.evaluate("location.hash = '#hidden_1/4'")
    opened.wait_for_selector(".card[open]")
    opened.locator(".card").get_by_role("button", name="next unit").focus()
    for _ in range(3):
        opened.keyboard.press("Enter")
    opened.until("document.querySelector('.card h2').textContent === 'hidden_1, unit 7'")
    slider = opened.play("units").get_by_label("share of the smallest")
    slider.focus()
    opened.keyboard.press("ArrowRight")
    assert slider.evaluate("(slider) => document.activeElement === slider")


def test_who_clicks_fast_hears_nothing_untrue(opened):
    for key in PLAYS:
        opened.play(key)
    opened.evaluate(
        "() => { for (let k = 0; k < 3; k++) for (const button of document.querySelectorAll('.play .buttons button'))"
        " if (!/save/.test(button.textContent)) button.click(); }"
    )
    opened.wait_for_timeout(500)
    assert "Not every image is learned" not in opened.inner_text("main")
    assert "NaN" not in opened.inner_text("main")


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("n_maps", [1, 4])
def test_layers_of_many_maps_and_units_lie_beside_each_other(chromium, tmp_path, n_maps, width):  # noqa: F811
    rng, channels, layers = np.random.default_rng(0), 3, []
    for k in range(n_maps):
        kernel = rng.normal(size=(3, 3, channels, 17), scale=0.1).astype(np.float32)
        layers.append(Conv2D(f"convolution_{k}", kernel, padding="same", activation_name="relu"))
        channels = 17
    wide = rng.normal(size=(8 * 8 * 17, 60), scale=0.02).astype(np.float32)
    head = rng.normal(size=(60, 10)).astype(np.float32)
    layers += [Flatten("flatten"), Dense("dense", wide, activation_name="relu"), Dense("output", head)]
    images = rng.random((40, 8, 8, 3)).astype(np.float32)
    data = probe.Dataset(images, np.arange(40) % 10, tuple("abcdefghij"))
    file = page_about(tmp_path, Network(tuple(layers), (8, 8, 3)), probe.Split(data, data, "noise"))
    with Opened(chromium, file, viewport={"width": width, "height": 900}) as opened:
        boxes = opened.evaluate(
            "[...document.querySelectorAll('.net .tile.input, .net .units, .net .output .value, .net .pager button')]"
            ".map((one) => { const {left, right, top, bottom} = one.getBoundingClientRect();"
            " return [left, right, top, bottom, one.className]; })"
        )
        assert len(boxes) == 1 + n_maps + 2 + 10 + 2 * n_maps
        groups = [box for box in boxes if "units" in box[4] or "input" in box[4]]
        buttons = [box for box in boxes if not box[4]]
        for some in (groups, buttons):
            for k, (left, right, top, bottom, _) in enumerate(some):
                for other in some[:k]:
                    assert left >= other[1] or right <= other[0] or top >= other[3] or bottom <= other[2]
        if width == 1280:
            assert all(box[1] <= width for box in boxes)
        scrolled = opened.evaluate("document.documentElement.scrollWidth")
        assert scrolled <= width
        assert opened.said == []


def test_in_the_frame_of_a_notebook_the_page_is_alive(chromium, file, tmp_path):  # noqa: F811
    shown = ReportPage(html=file.read_text(encoding="utf-8"), claims=(), results={})
    outer = tmp_path / "notebook.html"
    outer.write_text(f"<!doctype html><title>Notebook</title><body>{shown._repr_html_()}</body>", "utf-8")
    context = chromium.new_context(viewport={"width": 1100, "height": 900})
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(outer.as_uri())
    frame = page.frame_locator("iframe")
    frame.locator("#living .says:not(:empty)").wait_for(timeout=15_000)
    before = frame.locator("#living .says").inner_text()
    box = frame.locator("#living canvas").first.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    for k in range(10):
        page.mouse.move(
            box["x"] + (0.3 + 0.04 * k) * box["width"], box["y"] + (0.2 + 0.06 * k) * box["height"]
        )
    page.mouse.up()
    page.wait_for_timeout(500)
    assert frame.locator("#living .says").inner_text() != before
    page.frames[1].evaluate("location.hash = '#hidden_1/4'")
    frame.get_by_role("button", name="next unit").click()
    assert frame.locator(".card h2").inner_text() == "hidden_1, unit 5"
    frame.get_by_role("button", name="close the card").click()
    assert frame.locator(".card[open]").count() == 0
    assert page.frames[1].evaluate("location.href") == "about:srcdoc"
    assert box["width"] < 1100 and said == []
    context.close()
