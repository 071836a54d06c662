"""Concepts in words: the table and the claims say what the result holds."""

import probe
from probe.analyses.concepts import concepts
from probe.report.concepts import concepts_section


def test_the_table_counts_and_the_claims_are_the_verdicts(trained, digits):
    controls = probe.control_networks(trained, digits, n_networks=3, config=probe.TrainingConfig(epochs=3))
    result = concepts(trained, digits, controls=controls, n_images=200, n_permutations=19, n_rotations=19)
    section, claims = concepts_section(result)
    for row, layer in zip(section.tables[0].rows, result.layers, strict=True):
        assert row[0] == layer.layer
        assert row[1] == f"{(layer.untrained_p <= 0.05).sum()} of {len(result.names)}"
        assert row[2] == f"{layer.aligned(0.05).sum()} of {len(result.names)}"
        assert row[3] == f"{layer.probe_auroc.mean():.3f}"
        assert row[5].startswith(f"{layer.cost_added.max():.3f}")
    assert [claim.verdict for claim in claims] == list(result.verdicts)
    assert {claim.picture for claim in claims} <= {picture.name for picture in section.pictures}
    assert (section.numbers["layers"]["hidden_1"]["auroc"] == result.layer("hidden_1").auroc).all()
