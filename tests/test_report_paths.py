"""Expanded weights in words: the sentences say what the results hold."""

import numpy as np

import probe
from probe.report.paths import paths_section


def test_a_picture_a_caption_and_the_numbers_for_each_layer(trained, digits):
    twins = probe.twins(trained, digits, n_networks=3, config=probe.TrainingConfig(epochs=3))
    results = tuple(
        probe.expanded_weights(trained, digits.test.images, layer, twins=twins)
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
