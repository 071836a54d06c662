"""Pages for the browser, and the browser: Debian's Chromium, driven by Playwright; tests skip where one is missing."""

import shutil
import time
from pathlib import Path

import pytest

from probe.analyses.landscape import cost_plane
from probe.analyses.maximize import maximize
from probe.analyses.unit import unit_cards
from probe.pages import CHAPTERS, Report, Section
from probe.pages.page.payload import payload
from probe.recipes import RECIPES
from probe.training import NetworkSummary
from probe.workflow._sections import _hidden_objectives
from probe.workflow.maximize import class_objectives
from probe.workflow.weights import weights_section

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = Path(__file__).resolve().parents[2] / "build" / "page" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="session")
def chromium():
    """The browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Opened:
    """A page in the browser, with what it said and asked for."""

    def __init__(self, browser, file, **options):
        options = {"viewport": {"width": 1280, "height": 900}} | options
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.said, self.asked = [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri())
        if options.get("java_script_enabled", True):
            self.page.wait_for_selector("#living .says:not(:empty), #living .why")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    def __getattr__(self, name):
        return getattr(self.page, name)

    @property
    def sentence(self):
        """What the network says."""
        return self.page.inner_text("#living .says")

    @property
    def probabilities(self):
        return self.page.evaluate("[...probe.subject.probabilities()]")

    def play(self, key):
        """Return a play, after it has begun."""
        place = self.page.locator(f"[data-play={key}]")
        place.scroll_into_view_if_needed()
        place.locator("*").first.wait_for(state="attached")
        return place

    def until(self, expression, arg=None):
        """Wait until an expression is true: asked from outside, as the page's policy lets nobody evaluate in it."""
        end = time.monotonic() + 15
        while not self.page.evaluate(expression, arg):
            assert time.monotonic() < end, f"not true after 15 s: {expression}"
            time.sleep(0.02)

    def press(self, name, within="#living"):
        self.page.locator(within).get_by_role("button", name=name, exact=True).click()

    def set(self, slider, value):
        """Move a slider, as its user does."""
        slider.evaluate(
            "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', {bubbles: true})); }",
            str(value),
        )

    def box_is_wide(self):
        """Return what is wider than the window."""
        return self.page.evaluate(
            "document.documentElement.scrollWidth > innerWidth ? [...document.querySelectorAll('body *')]"
            ".filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.net, .scroll'))"
            ".map(e => e.outerHTML.slice(0, 90)) : []"
        )


def page_about(folder, network, split, *, results=(), film=None, controls=None, sections=(), **words):
    """Write a page about a network with what is quickly found of it, and return its path."""
    classes = maximize(network, class_objectives(network), restarts=2, steps=60)
    units = _hidden_objectives(network)
    favorites = [classes, *([maximize(network, units, restarts=1, steps=30)] if units else [])]
    found = {
        "maximize_classes": classes,
        "cards": unit_cards(network, split, controls=controls, favorites=favorites),
        "plane": cost_plane(network, split, film=film, n_images=50, resolution=11),
        **dict(results),
    }
    accuracy = float((network.predict(split.test.images) == split.test.labels).mean())
    summary = NetworkSummary.of(network, split.name, accuracy)
    sections = (
        Section(key="training", results={"network": summary}),
        weights_section(network, layout="channels_last"),
        *sections,
    )
    words = {"title": "What did the hidden layers learn?", "subtitle": "A network."} | words
    live = payload(network, split, {"network": summary, **found}, recipe=RECIPES["modern"], film=film)
    report = Report(sections=sections, chapters=CHAPTERS, live=live, **words)
    file = folder / "index.html"
    file.write_text(report.rendered().html({"Seed": "0"}), encoding="utf-8")
    return file


def axe(opened):
    """Return what axe-core finds serious or critical."""
    if not AXE.is_file():
        pytest.skip(f"axe-core is not installed in {AXE.parents[2]}")
    # The page's own policy allows no script but its own: the test's goes in by the debugger.
    debugger = opened.page.context.new_cdp_session(opened.page)
    debugger.send("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
    found = opened.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (violation["id"], [node["html"][:120] for node in violation["nodes"]][:3])
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
    ]


__all__ = ["AXE", "CHROMIUM", "Opened", "axe", "chromium", "page_about"]
