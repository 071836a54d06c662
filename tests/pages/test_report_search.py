"""Architecture search in words: the sentences and tables say what the result holds."""

import json
from dataclasses import replace

import numpy as np
import pytest
from result_checks import table_rows, words
from typer.testing import CliRunner

import probe
from probe.analyses.search import ArchitectureSearch, search
from probe.cli import app
from probe.figures import picture
from probe.pages import Section
from probe.workflow._folder import plain


@pytest.fixture(scope="module")
def found(digits):
    return search(
        digits,
        widths=(4, 16),
        depths=(1,),
        activations=("relu",),
        costs=("quadratic",),
        rates=(0.3, 1.0),
        n_networks=2,
        epochs=3,
        batch_size=20,
        n_samples=200,
    )


def page_of(result):
    return Section(key="search", results={"search": result})


def test_the_lead_says_how_the_choice_was_made_and_what_was_chosen(found):
    how, _, what = words(page_of(found)).partition("Chosen was ")
    assert how.startswith("4 candidates were trained, ")
    assert "as 2 networks each for 1 epoch on 160 images; the best of them went on, 2 to 3 epochs." in how
    assert "decided on 40 other training images" in how
    assert "failed" not in how
    chosen = found.chosen
    assert f"{'-'.join(map(str, chosen.hidden))} relu with the quadratic cost" in what
    assert (
        f"{chosen.n_parameters:,} parameters, {chosen.n_parameters / 1482:.2g} times those of the video's"
        in what
    )
    assert f"{chosen.validation_accuracy[-1].mean():.2%} of the validation images" in what
    assert f"{chosen.test_accuracy.mean():.2%} of the test images" in what


def test_the_tables_list_the_fronts_and_all_that_were_trained_to_the_end(found):
    for rows, indices in zip(
        table_rows(page_of(found)),
        (found.by_parameters.all_rungs, found.by_seconds.all_rungs, found.last_rung),
        strict=True,
    ):
        assert len(rows) == len(indices)
        for row, k in zip(rows, indices, strict=True):
            candidate = found.candidates[k]
            assert len(row) == 9
            role = {found.best: " (chosen)", found.reference: " (the video's)"}.get(k, "")
            shape = "-".join(map(str, candidate.hidden))
            assert row[0] == f"{shape} {candidate.activation}{role}"
            assert row[1:5] == [
                candidate.cost,
                f"{candidate.learning_rate:g}",
                f"{candidate.n_parameters:,}",
                str(candidate.n_epochs),
            ]
            assert row[5] == f"{candidate.training_flops / 1e9:.3g}"
            assert row[6] == f"{candidate.training_seconds:.2g}"
            assert row[7] == f"{candidate.validation_accuracy[-1].mean():.2%}"
            assert row[8].startswith(f"{candidate.test_accuracy.mean():.2%} (")


def test_the_numbers_are_those_of_the_result(found):
    numbers = plain(found.to_dict())
    assert numbers["rungs"] == [
        {"n_epochs": r.n_epochs, "n_candidates": r.n_candidates, "best_validation": r.best_validation}
        for r in found.rungs
    ]
    assert (numbers["best"], numbers["reference"]) == (found.best, found.reference)
    assert numbers["by_seconds"]["all_rungs"] == found.by_seconds.all_rungs.tolist()
    for written, candidate in zip(numbers["candidates"], found.candidates, strict=True):
        assert written["test_accuracy"] == candidate.test_accuracy.tolist()
        assert written["training_seconds"] == candidate.training_seconds
        assert (written["role"], written["finalist"]) == (candidate.role, candidate.finalist)


def test_the_claim_is_the_verdict_with_the_picture(found):
    section = page_of(found).rendered()
    (claim,) = section.claims
    assert claim.verdict is found.verdict
    assert claim.found == found.verdict.sentence
    assert section.pictures == {claim.picture: picture(found)}


def test_networks_that_failed_are_counted_in_words(found):
    first = replace(found.candidates[0], failed=np.array([True, False]))
    failed = replace(found, candidates=(first, *found.candidates[1:]))
    said = words(page_of(failed))
    assert "1 of all 12 networks failed" in said
    assert "accuracy of guessing, 10%" in said
    assert failed.to_dict()["n_failed"] == 1


def test_where_the_video_is_chosen_the_table_says_both(found):
    rows = table_rows(page_of(replace(found, best=found.reference)))[2]
    assert "(chosen, the video's)" in " ".join(row[0] for row in rows)


SMALL = [
    "--data",
    "digits",
    "--widths",
    "4,8",
    "--depths",
    "1",
    "--activations",
    "relu, tanh",
    "--networks",
    "2",
]
FEW = ["--costs", "quadratic", "--rates", "0.3", "--samples", "100", "--batch-size", "20"]


def ran(*options):
    return CliRunner().invoke(app("search"), ["search", *SMALL, *FEW, *options])


def test_the_command_writes_what_the_search_found_and_trains_longer_on_small_data(tmp_path):
    done = ran("--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    kept = probe.load_result(tmp_path / "out" / "results.h5", ArchitectureSearch)
    assert {(c.label, c.learning_rate) for c in kept.candidates if c.role == "candidate"} == {
        (f"{width} {name}, quadratic", 0.3) for width in (4, 8) for name in ("relu", "tanh")
    }
    assert [rung.n_epochs for rung in kept.rungs] == [20, 60, 180]
    assert f"{kept.verdict.title}: {kept.verdict.decision}" in done.output
    said = " ".join((tmp_path / "out" / "index.html").read_text().split())
    assert f"with the {kept.chosen.cost} cost and learning rate 0.3" in said
    assert f"{kept.chosen.test:.2%} of the test images in the right class" in said
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    assert numbers["command"] == "probe search"
    assert numbers["results"]["search"]["verdict"] == plain(kept.verdict.to_dict())
    assert [claim["decision"] for claim in numbers["claims"]] == [kept.verdict.decision]
    assert numbers["results"]["search"]["best"] == kept.best
    assert kept.verdict.title in said.replace("&#39;", "'")


def test_epochs_that_are_asked_for_are_taken(tmp_path):
    assert ran("--epochs", "3", "--out", str(tmp_path)).exit_code == 0
    kept = probe.load_result(tmp_path / "results.h5", ArchitectureSearch)
    assert [rung.n_epochs for rung in kept.rungs] == [1, 3]
    refused = ran("--first-epochs", "5", "--epochs", "3", "--out", str(tmp_path), "--overwrite")
    assert str(refused.exception) == "epochs must be an integer of at least 5, got 3"
