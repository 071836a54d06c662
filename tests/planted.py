"""Results that no analysis made, of networks of any size and with any names, for tests of what is drawn.

Run as a program it draws all pictures of one case and prints their sizes and the memory that it took.
"""

import json
import math
import resource
import struct
import sys
from dataclasses import replace
from itertools import product

import numpy as np

import probe
from probe.analyses.classification import BINS, Calibration, Classification, JudgedImages
from probe.analyses.comparison import Abilities, ClaimPair, Comparison, LayerPair
from probe.analyses.concepts import Concepts, LayerConcepts, LoopUnits
from probe.analyses.drawing import MEASURES, Artist, Drawing, DrawnImages
from probe.analyses.landscape import Components, Descent, Landscape
from probe.analyses.maximize import TopImages
from probe.analyses.noise import ConditionConfidence, NoiseConfidence
from probe.analyses.paths import ExpandedWeights
from probe.analyses.robustness import CLAIMS, Robustness, RobustnessDesign
from probe.analyses.scores import MemorizationScores
from probe.analyses.structure import WeightStructure
from probe.analyses.structure.results import StructureNull
from probe.analyses.unit import RankedImages, Standing, UnitCard
from probe.analyses.verification import SOURCES, Row, Verification, VerifiedRow
from probe.ascent import Bounds, Frames
from probe.figures._style import png_of
from probe.layers import Conv2D, Dense, Flatten
from probe.stats import Interval, Verdict

INTERVAL = Interval(0.1, 0.05, 0.15, 0.95, 5)


def verdict(decision="supported", interval=INTERVAL, **words):
    words = {"key": "k", "title": "c", "null": "null", "sentence": "sentence"} | words
    plain = {
        "subject": "network",
        "replicate": "units",
        "threshold": 0.0,
        "reason": "",
        "p_value": 0.01,
        "unit": "",
    }
    return Verdict(decision=decision, interval=interval, statistic_name="difference", **(plain | words))


VERDICT = verdict()


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def numbered(n, name="{}"):
    return tuple(name.format(k) for k in range(n))


def dense(n_units, shape=(28, 28), *, layer="hidden", classes=()):
    """Return the weight images of a dense layer on images."""
    kernel = normal(int(np.prod(shape)), n_units)
    layers = (Flatten("flatten"), Dense(layer, kernel, np.zeros(n_units, np.float32)))
    return probe.weight_images(probe.Network(layers, shape, classes), layer)


def on_maps(n_units, channels, size):
    """Return the weight images of a dense layer on feature maps."""
    layers = (
        Conv2D("conv", normal(1, 1, 1, channels), np.zeros(channels, np.float32)),
        Flatten("flatten"),
        Dense("dense", normal(size * size * channels, n_units), np.zeros(n_units, np.float32)),
    )
    return probe.weight_images(probe.Network(layers, (size, size, 1)), "dense")


def kernels(channels, filters):
    """Return the weight images of a convolution."""
    conv = Conv2D("conv", normal(3, 3, channels, filters), np.zeros(filters, np.float32))
    return probe.weight_images(probe.Network((conv,), (8, 8, channels)), layout="channels_last")


def paths(n_units, shape=(28, 28), *, layer="output", units=None):
    images, share = normal(n_units, *shape), np.linspace(0, 1, n_units)
    names = numbered(n_units) if units is None else units
    active = np.ones(shape, bool)
    shares = dict.fromkeys(("similarity", "cancellation", "chance_cancellation", "variation"), share)
    return ExpandedWeights(
        layer=layer,
        unit_names=names,
        expanded=images,
        jacobian=images[::-1],
        active=active,
        n_images=300,
        **shares,
    )


def structure(n_units, shape=(28, 28), *, layer="hidden", units=None):
    names = ("moran", "total_variation", "spectral_slope", "gabor", "sparsity")
    values = np.random.default_rng(0).random((n_units, 5))
    shares = np.linspace(0, 1, n_units)
    nulls = tuple(
        StructureNull(
            name=name,
            values=values,
            p_values=np.maximum(shares, 1e-3),
            each_p_values=np.ones((n_units, 5)),
            q_values=shares,
            power=0.9,
        )
        for name in ("initialization", "data-span")
    )
    active = np.ones(shape[:2], bool)
    active[0] = False
    kind, units = "weights", numbered(n_units) if units is None else units
    images = normal(n_units, *shape)
    interval = Interval(0.25, 0.1, 0.4, 0.95, n_units)
    return WeightStructure(
        layer=layer,
        kind=kind,
        unit_names=units,
        images=images,
        active=active,
        statistics=names,
        values=values,
        learned_shares=shares,
        nulls=nulls,
        gabor_fits=values[:, 3],
        gaussian_fits=values[:, 4],
        is_edge=values[:, 3] > 0.7,
        edge_power=0.9,
        control_images=images[:3],
        control_values=values[:3],
        alpha=0.05,
        verdicts=tuple(verdict(key=key, interval=interval, threshold=0.5) for key in ("random", "edges")),
    )


def bounds(lower, upper, layer=""):
    """Return bounds that no image is known to reach."""
    n = len(lower)
    return Bounds(lower=lower, upper=upper, exact=np.zeros(n, bool), unbounded_layers=(layer,) * n)


def maximization(n, shape=(28, 28), n_top=0, *, names=None, frames=0):
    rng = np.random.default_rng(0)
    values = normal(n, 1)
    base = probe.maximize(
        probe.Network((Dense("o", np.ones((4, 2), np.float32), np.zeros(2, np.float32)),), (4,)),
        [probe.class_logit(0)],
        restarts=1,
        steps=1,
    )
    top = TopImages(
        images=rng.random((n, n_top, *shape), np.float32), values=normal(n, n_top), n_images=60_000,
        indices=np.zeros((n, n_top), np.int64), medians=np.zeros(n),
    ) if n_top else None  # fmt: skip
    return replace(
        base,
        objectives=tuple(probe.unit("hidden", k) for k in range(n)),
        names=numbered(n, "hidden unit {}") if names is None else names,
        images=rng.random((n, 1, *shape), np.float32),
        values=values,
        traces=np.zeros((n, 1, 2)),
        bounds=bounds(values[:, 0] - 3.0, values[:, 0] + 1.0),
        top=top,
        frames=Frames(images=rng.random((n, frames, *shape), np.float32), steps=np.arange(frames))
        if frames
        else None,
    )


def concepts(n_layers, n_units, *, layer="hidden_{}", units=None):
    names = numbered(24, "concept {}")
    shares = np.random.default_rng(0).random((n_units, len(names)))
    each = np.linspace(0, 1, len(names))

    def one(place):
        blank = dict.fromkeys(LayerConcepts.__dataclass_fields__, each)
        per_unit = dict.fromkeys(
            ("accuracy_lost", "cost_added", "cost_added_with", "cost_added_without"), shares[:, 0]
        )
        said = {"layer": layer.format(place), "unit_names": numbered(n_units) if units is None else units}
        return LayerConcepts(**(blank | per_unit | said | {"auroc": shares, "permuted_limit": np.array(0.4)}))

    layers = tuple(one(place) for place in range(n_layers))
    loops = LoopUnits(
        layer=layer.format(n_layers - 1),
        unit_names=layers[-1].unit_names,
        auroc=shares[:, 0],
        chosen=np.array([0, n_units - 1]),
        chosen_auroc=replace(INTERVAL, estimate=0.6, low=0.55, high=0.65),
        threshold=0.7,
        rotated_auroc=np.nan,
        layer_auroc=0.7,
        pixel_auroc=0.65,
        components_auroc=0.6,
        planted=np.array([0.65, 0.7, 0.75, 0.8, 0.9]),
        power=np.linspace(0, 1, 5),
        control_auroc=np.linspace(0.5, 0.7, 20),
        n_images=1000,
    )
    return Concepts(
        names=names,
        kinds=("ink",) * 24,
        shares=each,
        left_out=(),
        class_auroc=each,
        pixel_probe_auroc=each,
        layers=layers,
        loops=loops,
        n_images=100,
        alpha=0.05,
        verdicts=(),
    )


def drawings(class_names, shape=(28, 28)):
    n = len(class_names)
    images, classes = np.random.default_rng(0).random((n, *shape), np.float32), np.arange(n)
    percentiles, judged = np.full((n, len(MEASURES)), 0.5), np.tile(classes, (3, 1))
    kinds = tuple(
        DrawnImages(
            name=name,
            images=images,
            intended=classes,
            percentiles=percentiles,
            judged=judged,
            plausible=classes % 2 == 0,
        )
        for name in ("optimized", "smoothed", "real", "class means", "noise", "shuffled")
    )
    return Drawing(
        class_names=tuple(class_names),
        noun="image",
        n_restarts=1,
        values=normal(n, 1),
        best=np.zeros(n, np.int64),
        nearest=images,
        nearest_classes=classes,
        kinds=kinds,
        artists=tuple(
            Artist(name=name, plain=kinds[0], smoothed=kinds[1])
            for name in ("network", "untrained", "random-label", "linear")
        ),
        classes_drawn=np.zeros(3, np.int64),
        verdicts=(),
    )


def unit_card(class_names, shape=(28, 28), *, layer="hidden", kind="image", weights=None, name="4"):
    """Return the card of a unit of a layer of 100, among units of control networks."""
    rng, n = np.random.default_rng(0), len(class_names)
    weights = normal(*shape) if weights is None else weights
    ranked = RankedImages(
        images=rng.random((10, *shape), np.float32),
        labels=np.arange(10) % n,
        values=normal(10),
        indices=np.arange(10),
    )
    names = ("norm", "moran", "gabor", "concept", "lost")
    standing = Standing(
        statistics=names,
        values=normal(1, 5),
        groups=("trained", "untrained", "random_label"),
        n_networks=12,
        n_units=1200,
        n_images=2000,
        quantiles=np.sort(normal(3, 5, 5), axis=2),
        percentiles=rng.random((3, 1, 5)),
    )
    return UnitCard(
        layer=layer,
        unit=4,
        name=name,
        kind="Dense",
        activation="relu",
        is_output=name != "4",
        n_units_in_layer=100,
        weights_kind=kind,
        weights=weights,
        weights_limit=float(np.abs(weights).max(initial=0)),
        reads=layer,
        bias=-0.5,
        products=weights,
        position=(),
        products_sum=3.0,
        pre_activation=2.5,
        favorite=rng.random(shape, np.float32),
        favorite_value=4.0,
        favorite_lower=-5.0,
        favorite_upper=6.0,
        most=ranked,
        least=ranked,
        median=0.1,
        n_looked_at=10_000,
        concept_names=("loop", "much ink", "| top left") if name == "4" else (),
        auroc=np.array([0.7, 0.2, 0.55]) if name == "4" else np.zeros(0),
        permuted_limit=np.array([0.1, 0.2, 0.3]) if name == "4" else None,
        accuracy=0.95,
        lost=INTERVAL,
        lost_by_class=np.clip(normal(n), -1, 1),
        n_by_class=np.full(n, 200),
        standing=standing,
        class_names=class_names,
        noun="image",
        missing=(),
    )


def classified(class_names, shape=(28, 28), n_images=3000):
    """Return what is found of answers that are wrong now and then, over every class."""
    rng, n = np.random.default_rng(0), len(class_names)
    labels = np.arange(n_images) % n
    named = np.where(rng.random(n_images) < 0.8, labels, rng.integers(0, n, n_images))
    confusion = np.zeros((n, n), np.int64)
    np.add.at(confusion, (labels, named), 1)

    def judged(chosen):
        images = rng.random((len(chosen), *shape), np.float32)
        confidences = np.linspace(1, 0.5, len(chosen))
        return JudgedImages(
            images=images,
            indices=chosen,
            labels=labels[chosen],
            predictions=named[chosen],
            confidences=confidences,
        )

    shares = np.linspace(0.02, 0.98, BINS)
    return Classification(
        class_names=tuple(class_names),
        noun="image",
        confusion=confusion,
        accuracy=Interval(0.8, 0.78, 0.82, 0.95, n_images),
        top_5_accuracy=0.9,
        n_sure_and_wrong=3,
        wrong=judged(np.flatnonzero(named != labels)[:20]),
        surest=judged(np.flatnonzero(named == labels)[:10]),
        least_sure=judged(np.arange(10)),
        calibration=Calibration(
            counts=np.arange(BINS),
            confidences=np.where(np.arange(BINS) > 0, shares, np.nan),
            accuracies=np.where(np.arange(BINS) > 0, shares**2, np.nan),
            low=np.where(np.arange(BINS) > 0, shares**2 * 0.8, np.nan),
            high=np.where(np.arange(BINS) > 0, 1 - 0.8 * (1 - shares**2), np.nan),
            error=0.1,
        ),
        brier_score=0.3,
        log_loss=0.5,
    )


def noise(class_names, shape=(28, 28)):
    n = len(class_names)
    conditions = tuple(
        ConditionConfidence(
            name=name,
            confidences=np.linspace(0, 1, 50),
            class_shares=np.full(n, 1 / n),
            entropy=3.0,
            auroc=0.5,
            auroc_over_images=None,
            shares_confident=np.zeros(3),
            score_aurocs=np.zeros(3),
        )
        for name in ("real", "uniform", "gaussian", "shuffled", "norm-matched")
    )
    return NoiseConfidence(
        conditions=conditions,
        threshold=0.9,
        accuracy=0.9,
        class_names=tuple(class_names),
        examples=np.random.default_rng(0).random((5, 3, *shape), np.float32),
        calibration_error=0.01,
        temperature=1.0,
        scaled_calibration_error=0.01,
        scaled_share=0.5,
        noun="image",
        verdicts=(),
    )


def scores(class_names, shape=(28, 28), n_most=16):
    n, rng = 1000, np.random.default_rng(0)
    true = rng.integers(len(class_names), size=n)
    labels = np.where(np.arange(n) < 60, (true + 1) % len(class_names), true)
    return MemorizationScores(
        scores=rng.random(n),
        standard_errors=np.full(n, 0.05),
        accuracy_in=np.ones(n),
        accuracy_out=np.zeros(n),
        n_in=np.full(n, 14),
        n_out=np.full(n, 6),
        labels=labels,
        true_labels=true,
        sample_indices=np.arange(n),
        most_memorized=np.arange(n_most),
        images=rng.random((n_most, *shape), np.float32),
        class_names=tuple(class_names),
        architecture="784-128-10 relu",
        share=0.7,
        corruption=0.2,
    )


def robustness(
    claims=CLAIMS, *, recipes=("modern", "video"), lengths=3, widths=3, data=("mnist", "digits"), n=6
):
    """Return what no study of robustness found: statistics around the thresholds, decided by a distance of 0.1."""
    lengths, widths = numbered(lengths, "x {}"), numbered(widths, "{0}-{0}")
    settings = list(product(data, recipes, widths, lengths))
    rng, shape = np.random.default_rng(0), (len(claims), len(settings), n)
    thresholds = np.array([claim.threshold for claim in claims.values()])
    away = rng.uniform(-0.5, 0.5, shape)
    less = np.array([claim.claims_less for claim in claims.values()])[:, None, None]
    decisions = np.where(abs(away) < 0.1, 2, (away < 0) ^ less)
    return Robustness(
        claims=tuple(claims),
        titles=tuple(claim.title for claim in claims.values()),
        statistic_names=tuple(claim.statistic_name for claim in claims.values()),
        units=tuple(claim.unit for claim in claims.values()),
        thresholds=thresholds,
        recipe=tuple(one[1] for one in settings),
        length=tuple(one[3] for one in settings),
        architecture=tuple(one[2] for one in settings),
        data=tuple(one[0] for one in settings),
        statistics=thresholds[:, None, None] + away,
        decisions=decisions,
        test_accuracy=rng.uniform(0.8, 1, shape[1:]),
        design=RobustnessDesign(architectures=(probe.MLP((16,)),)),
        verdicts=tuple(
            verdict(key=key, title=claim.title, subject="general") for key, claim in claims.items()
        ),
    )


def verification(n=12, claim="What was published, number {}"):
    """Return a table that nothing was trained for: numbers and bounds, of which ours lie within, outside and between."""
    made = list[VerifiedRow]()
    for k in range(n):
        ends = ((0.5, 0.5), (0.5, math.inf), (-math.inf, 0.5))[k % 3]
        row = Row(
            key=f"lesson-{k}",
            source=list(SOURCES)[k * len(SOURCES) // n],
            where="chapter 1",
            claim=claim.format(k),
            setup="theirs",
            low=ends[0],
            high=ends[1],
            rounding=0.02,
            remark="it is planted",
        )
        middle = 0.5 + (0.0, 0.1, -0.1, 0.02)[k % 4]
        made.append(VerifiedRow.of(row, np.linspace(middle - 0.01, middle + 0.01, 8)))
    return Verification(
        rows=tuple(made), verdict=verdict(), size="small", n_networks=8, left_out=("nielsen-svm",)
    )


def layer_pair(n_first, n_second, shape=(28, 28), *, name="hidden", planes=1, n_drawn=32):
    """Return layers of which the first pairs are the same, the next ones matched, and the last ones not."""
    rng, n = np.random.default_rng(0), min(n_first, n_second)
    similarity = np.linspace(1, -0.2, n)
    pairs = np.stack([np.arange(n), rng.permutation(n_second)[:n]], axis=1)
    correlations = rng.uniform(-0.4, 0.4, (n_first, n_second))
    signs = np.where(np.arange(n) % 3 == 1, -1.0, 1.0)
    correlations[pairs[:, 0], pairs[:, 1]] = similarity * signs
    change = np.where(np.arange(n) < n // 4, 0, np.linspace(0, 2, n))
    drawn = np.arange(n)[:n_drawn]
    images = normal(2, len(drawn) * planes, *shape)
    return LayerPair(
        first=name,
        second=name,
        n_first=n_first,
        n_second=n_second,
        correlations=correlations,
        pairs=pairs,
        signs=signs,
        scales=np.ones(n),
        similarity=similarity,
        chance=np.full(n, 0.5),
        p_values=np.where(similarity > 0.5, 0.002, 0.5),
        q_values=np.where(similarity > 0.5, 0.01, 0.6),
        permuted=0.2,
        weight_similarity=np.linspace(1, -0.1, n),
        weight_change=change,
        weight_chance=0.3,
        cka=0.9,
        cka_permuted=0.02,
        cka_untrained=0.6,
        drawn=drawn,
        first_images=images[0],
        second_images=images[1],
        planes=planes,
    )


def comparison(
    n_first=16, n_second=16, shape=(28, 28), *, names=None, n_layers=2, classes=tuple("0123456789"), **more
):
    """Return what no comparison of networks found."""
    names = numbered(n_layers, "hidden_{}") if names is None else names
    rng = np.random.default_rng(1)
    n_classes, images = len(classes), rng.random((2, 16, *shape), np.float32)
    labels = tuple(
        (classes[k % n_classes], classes[(k + 1) % n_classes], classes[k % n_classes]) for k in range(16)
    )
    counts = np.stack(
        [rng.integers(low, high, n_classes) for low, high in ((80, 99), (0, 9), (0, 9), (1, 5))], axis=1
    )
    abilities = Abilities(
        class_names=tuple(classes),
        counts=counts,
        difference=INTERVAL,
        p_value=0.01,
        agreement=Interval(0.9, 0.88, 0.92, 0.95, int(counts.sum())),
        chance=0.1,
        chance_within=0.8,
        first_images=images[0],
        second_images=images[1],
        first_names=labels,
        second_names=labels,
    )
    claims = tuple(
        ClaimPair(
            key=claim.key,
            title=claim.title,
            statistic_name=claim.statistic_name,
            unit=claim.unit,
            replicate=claim.replicate,
            threshold=claim.threshold,
            first=INTERVAL,
            second=Interval(0.9, 0.8, 1.0, 0.95, 5),
            first_decision="refuted",
            second_decision="supported",
            difference=Interval(0.8, 0.6, 0.9, 0.95, 5),
        )
        for claim in CLAIMS.values()
    )
    return Comparison(
        first_layers=tuple(names),
        second_layers=tuple(names),
        layers=tuple(layer_pair(n_first, n_second, shape, name=name, **more) for name in names),
        cka=np.linspace(0, 1, len(names) ** 2).reshape(len(names), len(names)),
        abilities=abilities,
        claims=claims,
        n_images=1000,
        n_null=499,
        logit_change=0.3,
        verdicts=tuple(verdict(key=key, replicate="pairs") for key in ("better", "agrees", "counterparts")),
    )


def landscape(parts):
    """Return a landscape of which only the gradient's components can be drawn, of arrays of these names."""
    sizes = tuple(np.geomspace(1, 1e-3, 50) for _ in parts)
    component = Components(
        names=tuple(f"{parts[0]}[{k}]" for k in range(12)),
        values=np.linspace(1, 0.1, 12),
        parts=tuple(parts),
        sizes=sizes,
        n_for_most=9,
    )
    fields = dict.fromkeys(Descent.__dataclass_fields__, np.ones(2))
    descent = Descent(**(fields | {"components": (component,), "n_images": 10}))
    return Landscape(**(dict.fromkeys(Landscape.__dataclass_fields__) | {"descent": descent}))


def pictures(case):
    """Give the name of each picture of a case, what draws it, and how."""
    if case == "dense of 2,000 units":
        yield "weights", dense(2000), {}
        yield "paths", paths(2000), {}
        yield "structure", structure(2000), {"part": "units"}
        yield "maximize", maximization(2000), {}
        yield "maximize, real images", maximization(2000, n_top=5), {}
        yield "unit", unit_card(numbered(10), kind="vector", weights=normal(2000)), {}
        for part in ("units", "loops", "probes", "importance"):
            yield f"concepts, {part}", concepts(3, 2000), {"part": part}
        for part in ("units", "similarities"):
            yield f"comparison, {part}", comparison(2000, 1500), {"part": part}
    if case == "CNN of 512 channels":
        yield "comparison", comparison(512, 512, (3, 3), planes=64, n_layers=53), {"part": "units"}
        yield "comparison, layers", comparison(512, 512, (3, 3), n_layers=53), {"part": "layers"}
        yield "kernels, colors", kernels(3, 512), {}
        yield "kernels", kernels(512, 512), {}
        yield "dense on maps", on_maps(500, 512, 7), {}
        yield "dense on few maps", on_maps(256, 2, 26), {}
        yield "structure", structure(512, (3, 3, 3)), {"part": "units"}
        yield "maximize, channels", maximization(100, (7, 7, 512)), {}
        yield "maximize", maximization(512, (64, 64, 3)), {}
        yield "unit", unit_card(numbered(10), (64, 64, 3), kind="planes", weights=normal(512, 3, 3)), {}
        yield "unit, colors", unit_card(numbered(10), (500, 500, 3)), {}
        for part in ("units", "loops", "probes", "importance"):
            yield f"concepts, {part}", concepts(53, 512), {"part": part}
        yield "landscape", landscape(numbered(106, "conv_{} kernel")), {"part": "gradient"}
    if case == "long images":
        classes, shape = numbered(10), (200, 1)
        yield "weights", dense(64, shape), {}
        yield "weights, wide", dense(64, (2, 3000)), {}
        yield "weights, colors", dense(64, (1500, 6, 3)), {"scale": "robust"}
        yield "paths", paths(64, shape), {}
        yield "structure", structure(64, shape), {"part": "units"}
        yield "maximize", maximization(64, shape), {}
        yield "maximize, real images", maximization(64, (1500, 6, 3), 5), {}
        yield "drawing", drawings(classes, shape), {}
        yield "unit", unit_card(classes, shape), {}
        yield "unit, wide", unit_card(classes, (2, 3000)), {}
        yield "noise", noise(classes, shape), {}
        yield "scores", scores(classes, shape), {}
        for part in ("units", "examples"):
            yield f"comparison, {part}", comparison(64, 64, shape), {"part": part}
    if case == "1,000 classes":
        classes = numbered(1000, "class number {}")
        yield "weights", dense(1000, layer="output", classes=classes), {"scale": "unit"}
        yield "paths", paths(1000, units=classes), {}
        yield "maximize", maximization(1000, names=classes), {}
        yield "drawing", drawings(classes), {}
        yield "unit", unit_card(classes, layer="output", name="class number 4"), {}
        yield "noise", noise(classes), {}
        yield "scores", scores(classes, n_most=400), {}
        for part in ("abilities", "examples"):
            yield f"comparison, {part}", comparison(classes=classes), {"part": part}


CASES = ("dense of 2,000 units", "CNN of 512 channels", "long images", "1,000 classes")


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main(case):
    import matplotlib.backends.backend_agg  # noqa: F401

    before = megabytes()
    sizes = {}
    for name, result, view in pictures(case):
        sizes[name] = struct.unpack(">II", png_of(probe.plot(result, **view))[16:24])
    sys.stdout.write(json.dumps({"sizes": sizes, "megabytes": megabytes() - before}))


if __name__ == "__main__":
    main(sys.argv[1])
