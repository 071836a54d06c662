"""The gallery: none, one and many reports, folders that are none, and what strangers may write into theirs."""

import io
import json
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import probe
from probe.cli import run
from probe.pages.gallery import thumbnail
from probe.workflow import gallery


def png(width=640, height=900, color=(200, 30, 30)):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), color).save(buffer, "PNG")
    return buffer.getvalue()


def claim(key, decision, said="words of the video", statement=None):
    return {"statement": statement or f"Claim {key}", "said": said, "verdict": key, "decision": decision}


def report(folder, *, page="<html></html>", pictures=("weights_1",), **changed):
    """Write what `probe report` leaves behind, as far as the gallery looks."""
    results = {
        "command": "probe report",
        "model": "A 784-16-16-10 network",
        "data": {"name": "digits"},
        "claims": [claim("edges", "refuted"), claim("noise", "supported")],
        "results": {"network": {"test_accuracy": 0.9584}},
    } | changed
    (folder / "figures").mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "index.html").write_text(page)
    for name in pictures:
        (folder / "figures" / f"{name}.png").write_bytes(png())
    return folder


class Page(HTMLParser):
    """What is in a page: its links, its pictures, its badges, and its text."""

    def __init__(self, path):
        super().__init__()
        self.links, self.pictures, self.badges, self.texts, self.tags = [], [], [], [], []
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        if tag == "a":
            self.links.append(attributes["href"])
        if tag == "img":
            self.pictures.append(attributes["src"])
        if tag == "strong":
            self.badges.append(attributes.get("class"))

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def page_of(folder):
    written = gallery(folder)
    assert written.files == (folder / "index.html",)
    return Page(folder / "index.html"), written.summary


def test_no_report_is_said(tmp_path):
    page, summary = page_of(tmp_path)
    assert summary == "0 reports"
    assert "There is no report here yet." in page.text and page.links == []


def test_one_report_is_shown_with_what_it_says(tmp_path):
    report(tmp_path / "mine")
    page, summary = page_of(tmp_path)
    assert summary == "1 report"
    assert set(page.links) == {"mine/index.html"}
    assert "What did the hidden layers learn?" in page.text
    assert "95.84% of the test images right" in page.text and "Data: digits" in page.text
    (picture,) = page.pictures
    assert picture.startswith("data:image/jpeg;base64,")
    assert page.badges.count("refuted") == 3 and page.badges.count("supported") == 3
    assert "Claim edges" in page.text and "Claim noise" in page.text


def test_twenty_reports_are_sorted_and_judged_in_one_table(tmp_path):
    for k in np.random.default_rng(0).permutation(20).tolist():
        report(
            tmp_path / f"run_{k:02}", claims=[claim("edges", ("supported", "refuted", "inconclusive")[k % 3])]
        )
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "results.json").write_text('{"rows": []}')
    page, summary = page_of(tmp_path)
    assert summary == "20 reports; 2 folders without a report are left out"
    names = [f"run_{k:02}/index.html" for k in range(20)]
    # Cards first, then a row each.
    assert page.links == names + names
    assert page.html.count("<tr>") == 21
    assert len(page.html) < 400_000


def test_reports_inside_folders_and_reports_are_found(tmp_path):
    report(tmp_path / "memorization")
    report(tmp_path / "memorization" / "capacity", command="probe capacity")
    report(tmp_path / "of others" / "deep" / "x" / "too deep")
    report(tmp_path / "of others" / "ä & b")
    page, summary = page_of(tmp_path)
    assert summary == "3 reports; 1 folder without a report is left out"
    assert page.links[:3] == [
        "memorization/index.html",
        "memorization/capacity/index.html",
        "of%20others/%C3%A4%20%26%20b/index.html",
    ]


def test_it_may_be_written_anew_but_not_over_another_page(tmp_path):
    report(tmp_path / "a")
    gallery(tmp_path)
    report(tmp_path / "b")
    page, _ = page_of(tmp_path)
    assert len(set(page.links)) == 2
    with pytest.raises(probe.InputError, match=r"holds a report itself.*Pass the folder above it"):
        gallery(tmp_path / "a")
    (tmp_path / "index.html").write_text("<p>mine</p>")
    with pytest.raises(probe.InputError, match=r"a page of something else, index\.html"):
        gallery(tmp_path)
    assert (tmp_path / "index.html").read_text() == "<p>mine</p>"


def test_links_are_not_followed(tmp_path):
    outside = report(tmp_path / "outside")
    folder = tmp_path / "reports"
    report(folder / "good")
    (folder / "linked").symlink_to(outside)
    half = report(folder / "half")
    (half / "results.json").unlink()
    (half / "results.json").symlink_to(outside / "results.json")
    pictures = report(folder / "pictures", pictures=())
    (pictures / "figures" / "weights_1.png").symlink_to(outside / "figures" / "weights_1.png")
    page, summary = page_of(folder)
    assert set(page.links) == {"good/index.html", "pictures/index.html"}
    assert len(page.pictures) == 1
    assert "1 folder without" in summary
    (folder / "index.html").unlink()
    (folder / "index.html").symlink_to(outside / "index.html")
    with pytest.raises(probe.InputError, match="is a symbolic link"):
        gallery(folder)
    assert (outside / "index.html").read_text() == "<html></html>"


HOSTILE = "</title></style><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}\u202e\x1b[31m"


@pytest.mark.parametrize(
    "changed",
    [
        {"model": HOSTILE, "command": f"probe {HOSTILE}", "data": {"name": HOSTILE}},
        {"claims": [claim(HOSTILE, "supported", HOSTILE, HOSTILE)]},
        {
            "claims": [
                claim("x", HOSTILE),
                claim("y", ["supported"]),
                claim(["z"], "supported"),
                3,
                None,
                [[]],
            ]
        },
        {"claims": {"a": 1}, "results": [1], "data": "digits", "model": {"a": "b"}},
        {"results": {"network": {"test_accuracy": "1"}}},
        {"results": {"network": {"test_accuracy": 1e400}}},
        {"results": {"network": {"test_accuracy": -3}}},
        {"results": {"network": {"test_accuracy": True}}},
        {"model": "x" * 1_000_000, "claims": [claim(f"key {k}", "refuted") for k in range(5000)]},
    ],
)
def test_what_strangers_write_is_text_of_bounded_length(changed, tmp_path):
    report(tmp_path / "theirs", **changed)
    page, summary = page_of(tmp_path)
    assert summary.startswith("1 report")
    assert "script" not in page.tags and page.tags.count("img") == 1
    assert "onerror" not in re.sub(r"&lt;img.*?&gt;", "", page.html)
    assert "\u202e" not in page.html and "\x1b" not in page.html
    if HOSTILE in str(changed.get("model")):
        assert "{{ 7 * 7 }}" in page.text
    assert "% of the test images right" not in page.text or "95.84%" in page.text
    assert len(page.html) < 1_500_000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1, 2]",
        b"null",
        b'{"command": "rm -rf"}',
        b'{"command": 3}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"command": "probe report", "x": "' + b"a" * (1 << 24) + b'"}',
    ],
    ids=["empty", "list", "null", "stranger", "number", "bytes", "nested", "large"],
)
def test_what_is_no_report_is_left_out(content, tmp_path):
    folder = report(tmp_path / "theirs")
    (folder / "results.json").write_bytes(content)
    page, summary = page_of(tmp_path)
    assert summary == "0 reports; 1 folder without a report is left out" and page.links == []


def test_pipes_are_not_opened(tmp_path):
    folder = report(tmp_path / "theirs")
    (folder / "results.json").unlink()
    os.mkfifo(folder / "results.json")
    assert page_of(tmp_path)[1].startswith("0 reports")


@pytest.mark.parametrize("content", [b"", b"GIF89a", png()[:200], b"\x89PNG\r\n\x1a\n" + b"\0" * 100])
def test_pictures_that_cannot_be_read_are_left_out(content, tmp_path):
    folder = report(tmp_path / "theirs", pictures=())
    (folder / "figures" / "weights_1.png").write_bytes(content)
    page, _ = page_of(tmp_path)
    assert page.pictures == [] and thumbnail(content) == b""


def test_a_small_picture_is_the_upper_part_of_a_large_one():
    tall = Image.new("RGB", (1280, 3000), "blue")
    tall.paste("red", (0, 0, 1280, 800))
    buffer = io.BytesIO()
    tall.save(buffer, "PNG")
    small = Image.open(io.BytesIO(thumbnail(buffer.getvalue())))
    assert small.size == (480, 300)
    assert np.abs(np.asarray(small).astype(int) - (254, 0, 0)).max() < 6
    large = io.BytesIO()
    Image.new("1", (8000, 8000)).save(large, "PNG")
    assert thumbnail(large.getvalue()) == b""


def test_the_command_says_what_it_wrote_and_what_is_no_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report(tmp_path / "reports" / "one")
    assert run(["gallery", "reports"]) == 0
    assert "reports/index.html" in capsys.readouterr().out
    for line, message in (
        (["gallery", "nowhere"], "DIR must be a folder with reports, and nowhere is none"),
        (["gallery", "reports/one/results.json"], "DIR must be a folder with reports"),
        (["gallery", ""], "a path must not be empty"),
        (["gallery"], "DIR"),
        (["gallery", "reports/one"], "holds a report itself"),
    ):
        assert run(line) == 2
        assert message in capsys.readouterr().err


def test_the_page_asks_for_nothing_and_allows_only_its_own_style(tmp_path):
    report(tmp_path / "one")
    page, _ = page_of(tmp_path)
    assert "default-src 'none'; img-src data:; style-src 'sha256-" in page.html
    assert "http://" not in page.html and "https://" not in page.html
    assert "prefers-color-scheme: dark" in page.html and "script" not in page.tags
