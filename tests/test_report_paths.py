"""Expanded weights in words: the sentences say what the results hold."""

import numpy as np
import planted

import probe
from probe.report.paths import file_names, paths_section


def test_a_picture_a_caption_and_the_numbers_for_each_layer(trained, digits):
    controls = probe.control_networks(trained, digits, n_networks=3, config=probe.TrainingConfig(epochs=3))
    results = tuple(
        probe.expanded_weights(trained, digits.test.images, layer, controls=controls)
        for layer in ("hidden_2", "output")
    )
    section, claims = paths_section(results)
    assert [picture.name for picture in section.pictures] == ["paths_hidden_2", "paths_output"]
    for result, picture in zip(results, section.pictures, strict=True):
        assert f"mean cosine is {np.nanmean(result.similarity):.2f}" in picture.caption
        assert f"{np.nanmean(result.cancellation):.0%} of the sum" in picture.caption
        assert section.numbers[result.layer]["mean_cosine"] == np.nanmean(result.similarity)
    assert [claim.verdict for claim in claims] == [v for result in results for v in result.verdicts]
    assert all(claim.section == "paths" and claim.found == claim.verdict.sentence for claim in claims)
    assert {claim.picture for claim in claims} == {"paths_hidden_2", "paths_output"}


def test_a_network_without_such_layers_is_told_so():
    section, claims = paths_section(())
    assert "no chain of dense layers" in section.lead[0]
    assert claims == ()


def test_layers_of_any_name_have_a_plain_file_name_each():
    layers = ("hidden_2", "../../evil", "a/b", "שכבה", "x" * 100, "")
    results = tuple(planted.paths(2, (3, 3), layer=layer) for layer in layers)
    assert file_names(results) == ["paths_hidden_2", *(f"paths_{k}" for k in range(2, 7))]
    section, _ = paths_section(results)
    assert [picture.name for picture in section.pictures] == file_names(results)


def test_of_many_layers_the_first_are_drawn_and_all_have_numbers():
    results = tuple(planted.paths(2, (3, 3), layer=f"dense_{k}") for k in range(20))
    section, _ = paths_section(results)
    assert (len(section.pictures), len(section.numbers)) == (16, 20)
    assert "The first 16 of 20 layers are drawn" in section.lead[-1]
