"""The lesson: its answers against the networks that it wrote, its pages in the browser and on paper."""

import base64
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

import probe
from probe import workflow
from probe.pages.lesson import Question, image_uri, weights_uri

CHROMIUM = shutil.which("chromium")
KEYS = ["edges", "drawing", "noise", "random-labels", "minima"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("lesson")
    workflow.lesson(data="digits", n_students=3, out=out, seed=5)
    return out


@pytest.fixture(scope="module")
def answers(folder):
    return json.loads((folder / "results.json").read_text())["answers"]


@pytest.fixture(scope="module")
def sheets(folder):
    """The two pages of each student."""
    pages = re.findall(
        r'<section class="page" data-student="(\d+)">(.*?)</section>',
        (folder / "worksheets.html").read_text(),
        re.DOTALL,
    )
    assert [number for number, _ in pages] == ["1", "1", "2", "2", "3", "3"]
    return [(pages[k][1], pages[k + 1][1]) for k in (0, 2, 4)]


def pictures(page, pattern):
    """Return the images of a page whose description fits, as a reader sees them: ink is 1."""
    found = re.findall(rf'<img src="data:image/png;base64,([^"]+)" alt="{pattern}">', page)
    return np.stack([1 - np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) / 255 for one in found])


def test_all_files_are_there(folder):
    names = {"index.html", "worksheets.html", "key.html", "results.json"}
    assert {path.name for path in folder.iterdir()} == names | {f"network-0{k}.h5" for k in (1, 2, 3)}


@pytest.mark.parametrize("student", [0, 1, 2])
def test_the_key_is_what_the_network_says_of_what_is_printed(folder, answers, sheets, digits, student):
    key, (first, second) = answers["students"][student], sheets[student]
    network = probe.load_network(folder / key["file"])
    right = network.predict(digits.test.images) == digits.test.labels
    assert key["accuracy"] == pytest.approx(right.mean())
    images = pictures(first, "Image [ABC]").astype("f4")
    assert len(images) == 3
    shares = network.predict_proba(images)
    assert [item["named"] for item in key["images"]] == [str(k) for k in shares.argmax(axis=1)]
    np.testing.assert_allclose([item["confidence"] for item in key["images"]], shares.max(axis=1), atol=0.01)
    # One of the three is named wrong, and all are test images.
    assert [item["label"] == item["named"] for item in key["images"]].count(False) == 1
    for image, item in zip(images, key["images"], strict=True):
        nearest = np.abs(digits.test.images - image).max(axis=(1, 2)).argmin()
        assert item["label"] == str(digits.test.labels[nearest])
    kernel = network.dense_layers[0].kernel
    excited = np.argsort(-(images[0].ravel() @ kernel))[:3] + 1
    assert key["images"][0]["strongest_units"] == excited.tolist()
    noise = network.predict_proba(pictures(second, "Noise").astype("f4"))[0]
    assert key["noise"]["named"] == str(noise.argmax())
    assert key["noise"]["confidence"] == pytest.approx(noise.max(), abs=0.02)
    assert f"It says: {key['noise']['named']}. It is {key['noise']['confidence']:.1%} sure." in second
    favorites = network.predict_proba(pictures(second, r"Favorite of \d").astype("f4"))
    np.testing.assert_allclose(list(key["favorites"].values()), np.diag(favorites), atol=0.02)


def test_each_student_has_a_network_of_their_own_whatever_their_number_is(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("probe.workflow._lesson.questions_of", lambda *given, **more: ((), ()))
    workflow.lesson(data="digits", n_students=1, out=tmp_path / "one", seed=5)
    one, two = (
        probe.load_network(where / name).dense_layers[0].kernel
        for where, name in ((tmp_path / "one", "network-01.h5"), (folder, "network-02.h5"))
    )
    again = probe.load_network(folder / "network-01.h5").dense_layers[0].kernel
    # Products of more networks are rounded elsewhere.
    np.testing.assert_allclose(one, again, atol=1e-4)
    assert not np.allclose(one, two)


def test_the_page_asks_before_it_tells_and_needs_no_script(folder, answers):
    page = (folder / "index.html").read_text()
    assert "<script" not in page and "http" not in page.replace('http-equiv="', "")
    assert [one["key"] for one in answers["questions"]] == KEYS
    for one in answers["questions"]:
        section = page.split(f'<section class="question" id="{one["key"]}"')[1].split("</section>")[0]
        radios = re.findall(r'<input type="radio" name="([\w-]+)" value="(\d)" class="(\w+)">', section)
        assert [name for name, _, _ in radios] == [one["key"]] * len(one["guesses"])
        assert [int(value) for _, value, kind in radios if kind == "right"] == [one["found"]]
        asked, told = section.split("<details>")
        assert one["number"].split(" (")[0] in told and "(" in one["number"]
        assert one["number"] not in asked and "found was" not in asked.lower()


def test_answers_are_those_of_the_analyses(answers, folder, digits):
    found = {one["key"]: one for one in answers["questions"]}
    assert found["noise"]["found"] in (0, 1, 2)
    share = float(found["noise"]["number"].split("%")[0]) / 100
    assert found["noise"]["found"] == (0 if share >= 0.5 else 1 if share >= 0.1 else 2)
    assert "2,000 images" in found["noise"]["number"]
    assert "16 units" in found["edges"]["number"] and "10 classes" in found["drawing"]["number"]
    assert "6 networks" in found["random-labels"]["number"] and "12 networks" in found["minima"]["number"]


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_worksheets_print_to_two_pages_of_a4_for_each_student(folder, tmp_path):
    assert printed(folder / "worksheets.html", tmp_path) == [(595, 842)] * 6


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize("shape", [(30, 6, 3), (5, 24)])
def test_long_names_many_classes_and_odd_shapes_print_to_two_pages_too(tmp_path, monkeypatch, shape):
    monkeypatch.setattr("probe.workflow._lesson.questions_of", lambda *given, **more: ((), ("Why not.",)))
    rng = np.random.default_rng(0)
    names = [f"{'W' * 30} & 'no' {k:02d}" for k in range(20)]
    labels = rng.integers(20, size=300)
    images = (255 * rng.random((20, *shape)))[labels].astype("u1")
    np.savez(tmp_path / "a.npz", images=images, labels=labels, class_names=np.array(names, "S"))
    workflow.lesson(data=str(tmp_path / "a.npz"), n_students=2, out=tmp_path / "out")
    sheets = (tmp_path / "out" / "worksheets.html").read_text()
    assert "these 10 of 20 classes" in sheets and "digit" not in sheets
    assert ("random color" in sheets) == (len(shape) == 3)
    assert "&amp;" in sheets and "Why not." in (tmp_path / "out" / "index.html").read_text()
    assert len(printed(tmp_path / "out" / "worksheets.html", tmp_path)) == 4


def printed(page, folder):
    """Return the sizes of the pages that Chromium prints."""
    flags = [
        f"--{flag}"
        for flag in (
            *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync"),
            *("disable-background-networking", "disable-component-update", "no-pdf-header-footer"),
        )
    ]
    out = folder / "out.pdf"
    places = [f"--user-data-dir={folder / 'browser'}", f"--print-to-pdf={out}", page.as_uri()]
    subprocess.run([CHROMIUM, *flags, *places], check=True, capture_output=True, timeout=120)
    content = out.read_bytes()
    boxes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", content)
    assert len(boxes) == len(re.findall(rb"/Type /Page\b(?!s)", content))
    return [(round(float(width)), round(float(height))) for width, height in boxes]


@pytest.mark.parametrize("n_students", [0, 41, -1, 2.5])
def test_too_few_and_too_many_students_are_refused(n_students, tmp_path):
    with pytest.raises(probe.InputError, match="n_students must be an integer from 1 to 40"):
        workflow.lesson(data="digits", n_students=n_students, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_single_class_teaches_nothing(tmp_path):
    images, labels = np.zeros((20, 4, 4), "u1"), np.zeros(20, "i8")
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    with pytest.raises(probe.InputError, match="at least 2 classes"):
        workflow.lesson(data=str(tmp_path / "a.npz"), out=tmp_path / "out")


def test_questions_that_cannot_be_asked_are_left_out_with_the_reason(trained, digits, monkeypatch):
    from probe.workflow import _questions

    def fails(about):
        raise probe.InputError("the images are too small")

    monkeypatch.setattr(_questions, "_QUESTIONS", (("edges", fails), ("noise", _questions._noise)))
    asked, left_out = _questions.questions_of(trained, digits, units=(), seed=0)
    assert [one.key for one in asked] == ["noise"]
    assert left_out == ("The question about edges was left out: the images are too small.",)


def test_a_question_has_its_answer_among_the_guesses():
    with pytest.raises(probe.InputError, match="found must be the index of one of 2 guesses, got 2"):
        Question(
            key="a", heading="", ask="", guesses=("yes", "no"), found=2, answer="", number="", how="", said="",
            minute="", command="",
        )  # fmt: skip


def opened(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))


def test_signs_of_weights_differ_without_colors():
    plus, minus = (
        np.asarray(opened(weights_uri(np.full((4, 4), sign), 1.0)).convert("L")).astype(int)
        for sign in (1.0, -1.0)
    )
    assert len(np.unique(plus)) == 1
    # Hatched: white lines on the color.
    assert sorted(np.unique(minus))[-1] == 255 and 0.05 < (minus == 255).mean() < 0.5
    zero = np.asarray(opened(weights_uri(np.zeros((4, 4)), 1.0)).convert("RGB"))
    assert (zero == 255).all()


def test_images_are_ink_on_paper_or_in_color():
    gray = np.array([[0, 1], [0.5, 0.2]], "f4")
    np.testing.assert_array_equal(np.asarray(opened(image_uri(gray))), 255 - np.rint(gray * 255))
    np.testing.assert_array_equal(np.asarray(opened(image_uri(gray[..., None]))), 255 - np.rint(gray * 255))
    color = np.random.default_rng(0).random((3, 2, 3)).astype("f4")
    np.testing.assert_array_equal(np.asarray(opened(image_uri(color))), np.rint(color * 255))
