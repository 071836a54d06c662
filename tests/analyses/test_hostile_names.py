"""Names of layers, classes and data come from files: on no page they become elements, attributes or marks of direction."""

import dataclasses
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from unicodedata import category

import numpy as np
import planted
import pytest
from test_contract import analyze

import probe
import probe.pages
from probe.catalogue import ANALYSES
from probe.figures import picture_files
from probe.pages import Report, Section
from probe.pages._drawing import Drawn, Easel
from probe.training import NetworkSummary
from probe.workflow._sections import paths_section, sections_about
from probe.workflow.weights import weights_section

TEMPLATES = sorted(
    path.stem
    for path in (Path(probe.pages.__file__).parent / "templates").glob("*.html")
    if not path.stem.startswith("_")
    and path.stem not in ("page", "gallery", "lesson", "lesson_key", "worksheets")
)

NAMES = {
    "script": "<script>alert(1)</script>",
    "attribute": "\"><b onload=x>'",
    "from the right": "שלום עולם",
    "override": "\u202e\u2066\u200fturned",
    "controls": "\x1b[31m\x00\x7f\x85\r",
    "long": "x" * 5000,
}

PLAIN = "plainname"
"""Stands in each name of the network and the data that the results are of, and is replaced by a hostile one."""


@pytest.fixture(scope="module")
def network(trained):
    layers = [dataclasses.replace(layer, name=f"{PLAIN}{k}") for k, layer in enumerate(trained.layers)]
    return probe.Network(tuple(layers), trained.input_shape, numbered(10))


@pytest.fixture(scope="module")
def split(digits):
    train, test = (
        dataclasses.replace(data, class_names=numbered(10)) for data in (digits.train, digits.test)
    )
    return probe.Split(train, test, PLAIN)


def numbered(n):
    return tuple(f"{PLAIN}{k}" for k in range(n))


@pytest.fixture(scope="module")
def sections(network, split):
    """Return one section for each template, and one that says why there is no result."""
    results = {
        entry.key: analyze(entry.name, network, split, 0)
        for entry in ANALYSES
        if entry.name not in ("weight_images", "maximize")
    }
    about = {
        entry.key: sections_about(entry, results[entry.key]) for entry in ANALYSES if entry.key in results
    }
    about["paths"] = ()
    classes, units, both = (
        probe.maximize(network, objectives, restarts=2, steps=2, images=split.test.images, n_top=2)
        for objectives in (
            [probe.class_logit(0)],
            [probe.unit(f"{PLAIN}1", 0)],
            [probe.class_logit(1), probe.unit(f"{PLAIN}2", 1)],
        )
    )
    history = probe.train(probe.MLP((3,)), split, probe.TrainingConfig(epochs=1)).history
    maximized = {
        "maximize_classes": classes,
        "maximize_classes_smooth": classes,
        "maximize_units": units,
        "maximize_objectives": both,
    }
    own = (
        weights_section(network, layout=None),
        Section(key="maximize", results=maximized),
        Section(key="inspect", facts={"text": f"{PLAIN}1  Dense\n{PLAIN}2  Dense"}),
        Section(key="memorization", results={"memorization": results["memorization"]}),
        Section(
            key="training",
            results={"network": NetworkSummary.of(network, split.name, 0.5), "training": history},
        ),
    )
    made = {section.key: section for some in (*about.values(), own) for section in some}
    return made | {
        "paths": results["paths"],
        "why": Section(key="structure", facts={"why": f"'{PLAIN}1' has none"}),
    }


def renamed(value, name):
    """Return a value with `PLAIN` replaced by `name` in all that it says."""
    if isinstance(value, str):
        return value.replace(PLAIN, name)
    if isinstance(value, tuple | list):
        return type(value)(renamed(item, name) for item in value)
    if isinstance(value, Mapping):
        return {renamed(key, name): renamed(item, name) for key, item in value.items()}
    if isinstance(value, np.ndarray) or not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
    changed = {key: renamed(item, name) for key, item in fields.items()}
    return dataclasses.replace(value, **changed) if repr_of(changed) != repr_of(fields) else value


def repr_of(fields):
    """Return all that the fields say, to see whether it changed."""
    return [str(probe.results.plain_of(item)) for item in fields.values()]


class Structure(HTMLParser):
    """Collects what a page is made of, apart from its text: elements, attributes and what these lead to."""

    def __init__(self):
        super().__init__()
        self.elements, self.text = [], []

    def handle_starttag(self, tag, attributes):
        if tag == "bdi":  # wherever words are kept in their place
            assert attributes == []
            return
        shown = {"alt", "content"}
        values = [(name, value) for name, value in attributes if name not in shown]
        self.elements.append((tag, [name for name, _ in attributes], values))

    def handle_data(self, data):
        self.text.append(data)


def page_of(section, name):
    if not isinstance(section, Section):
        section = paths_section([renamed(section, name)])
    else:
        section = dataclasses.replace(
            section,
            results={key: renamed(result, name) for key, result in section.results.items()},
            facts={key: renamed(fact, name) for key, fact in section.facts.items()},
        )
    said = f"Of '{name}', {name}"
    section = dataclasses.replace(section, note=said)
    report = Report(title=said, subtitle=said, sections=(section,), kept=said, warning=said)
    html = report.rendered().html({name: name})
    html.encode()
    structure = Structure()
    structure.feed(html)
    return html, structure


@pytest.fixture(scope="module", autouse=True)
def no_pictures():
    """Pictures of such names are another test's: test_figures_names."""
    drawn = Drawn(*picture_files(planted.noise(("a", "b"), (4, 4))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Easel, "drawn", lambda self, drawings, *progress: [drawn] * len(drawings))
        yield


def test_every_template_is_here(sections):
    assert sorted({*sections} - {"why"}) == TEMPLATES


@pytest.mark.parametrize("key", [*TEMPLATES, "why"])
def test_no_name_becomes_an_element_or_an_attribute_or_turns_what_is_around_it(key, sections):
    plain, expected = page_of(sections[key], "two words")
    for kind, name in NAMES.items():
        html, found = page_of(sections[key], name)
        assert html != plain
        assert found.elements == expected.elements, kind
        hidden = {letter for letter in html if category(letter) in ("Cc", "Cf", "Cs")} - {"\n"}
        assert hidden == set(), kind
