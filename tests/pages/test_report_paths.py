"""Expanded weights in words: the sentences say what the results hold."""

import numpy as np
import planted
from result_checks import check_result, words

import probe
from probe.workflow._sections import paths_section


def test_a_picture_a_caption_and_the_numbers_for_each_layer(trained, digits):
    results = tuple(
        probe.expanded_weights(trained, digits.test.images, layer) for layer in ("hidden_2", "output")
    )
    section = paths_section(results)
    said, rendered = words(section), section.rendered()
    assert list(rendered.pictures) == list(section.results) == ["paths_hidden_2", "paths_output"]
    for result in results:
        check_result(result)
        caption = said[said.index(f"Layer '{result.layer}'") :]
        assert f"mean cosine is {np.nanmean(result.similarity):.2f}" in caption
        assert f"{np.nanmean(result.cancellation):.0%} of the sum" in caption
        assert f"by chance {np.nanmean(result.chance_cancellation):.0%}" in caption
        assert result.to_dict()["mean_cosine"] == np.nanmean(result.similarity)
    claims = rendered.claims
    assert [claim.verdict for claim in claims] == [v for result in results for v in result.verdicts]
    assert all(claim.section == "paths" and claim.found == claim.verdict.sentence for claim in claims)
    assert [claim.statement.rpartition(" (")[2] for claim in claims[::2]] == ["'hidden_2')", "'output')"]
    assert {claim.picture for claim in claims} == {"paths_hidden_2", "paths_output"}


def test_a_network_without_such_layers_is_told_so():
    section = paths_section(())
    assert words(section).startswith("This network has no chain of dense layers")
    assert section.rendered().claims == ()


def test_layers_of_any_name_have_a_plain_file_name_each():
    layers = ("hidden_2", "../../evil", "a/b", "שכבה", "x" * 100, "")
    results = tuple(planted.paths(2, (3, 3), layer=layer) for layer in layers)
    section = paths_section(results)
    names = ["paths_hidden_2", *(f"paths_{k}" for k in range(2, 7))]
    assert list(section.results) == list(section.rendered().pictures) == names


def test_of_many_layers_the_first_are_drawn_and_all_have_numbers():
    results = tuple(planted.paths(2, (3, 3), layer=f"dense_{k}") for k in range(20))
    section = paths_section(results)
    assert (len(section.rendered().pictures), len(section.results)) == (16, 20)
    assert "The first 16 of 20 layers are drawn" in words(section)
