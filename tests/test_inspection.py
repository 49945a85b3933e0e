"""Tests of the displays on real pictures embedded by the zoo."""

import warnings
from functools import partial
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from _models import LabelsInColumn
from _pictures import some_of_each
from _said import no_warning, said
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import same_color
from numpy.testing import assert_allclose
from scipy.special import softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder, make_backbone_pipeline
from skclipens.backbones import list_backbones
from skclipens.ensemble import NeuralLogitController
from skclipens.inspection import (
    AccuracyCostDisplay,
    CorrectSetsDisplay,
    DiversityGainDisplay,
    ReliabilityDisplay,
    RoutingWeightsDisplay,
    _display,
)
from skclipens.inspection._style import PRINT_DPI, RED, short_names
from skclipens.labels import OpenSetClassifier
from skclipens.metrics import correct_sets, disagreement_matrix, expected_calibration_error

pytestmark = pytest.mark.usefixtures("embedded_once")

BACKBONES = ["zoo/RN20", "zoo/ViT-8", "zoo/ViT-16"]
SHORT = ["RN20", "ViT-8", "ViT-16"]
DISPLAYS = [
    AccuracyCostDisplay,
    CorrectSetsDisplay,
    DiversityGainDisplay,
    ReliabilityDisplay,
    RoutingWeightsDisplay,
]
N_CLASSES, PER_CLASS, SHOTS = 6, 12, 3
UNREADABLE = "1 of 2 images cannot be read; the first is row 1 .'no_such_file.png'"


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def without_names(monkeypatch):
    """Placing names of points takes most of the time; for tests of what else is shown."""
    monkeypatch.setattr(_display, "_MOST_NAMES", 0)


@pytest.fixture(scope="module")
def pictures():
    """Paths of 72 pictures of 6 classes, the first 3 of each first, and their labels."""
    found = some_of_each(N_CLASSES, PER_CLASS)
    return tuple(one.reshape(N_CLASSES, PER_CLASS).T.ravel() for one in found)


@pytest.fixture(scope="module")
def embedder(pictures):
    return MultiBackboneEmbedder(BACKBONES).fit(pictures[0])


@pytest.fixture(scope="module")
def table(pictures, embedder):
    return embedder.transform(pictures[0]), pictures[1]


@pytest.fixture(scope="module")
def clf(table):
    X, y = (part[: SHOTS * N_CLASSES] for part in table)
    return AdaptiveBackboneEnsemble(BACKBONES, head="zero-shot", random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def test_set(table):
    return tuple(part[SHOTS * N_CLASSES :] for part in table)


@pytest.fixture(scope="module")
def predictions(clf, test_set):
    return clf.classes_[clf.expert_proba(test_set[0]).argmax(axis=2)]


def shown(display):
    """The numbers that a display shows."""
    return [
        np.asarray(value, float).ravel()
        for name, value in sorted(vars(display).items())
        if name in {"shares", "counts", "costs", "accuracies", "gains", "diversities", "confidence"}
    ]


@pytest.mark.usefixtures("without_names")
@pytest.mark.parametrize("Display", DISPLAYS)
def test_pipeline_on_pictures_shows_what_the_ensemble_shows(
    Display, clf, test_set, pictures, embedder
):
    X, y = test_set
    from_table = Display.from_estimator(clf, X, y)
    paths = pictures[0][SHOTS * N_CLASSES :]
    from_pictures = Display.from_estimator(make_pipeline(embedder, clf), paths, y)
    assert shown(from_table)
    for a, b in zip(shown(from_table), shown(from_pictures), strict=True):
        assert_allclose(a, b, atol=1e-4)


@pytest.mark.usefixtures("without_names")
@pytest.mark.parametrize("Display", DISPLAYS)
def test_pipeline_of_backbones_is_shown(Display, pictures, tmp_path):
    X, y = pictures
    clf = make_backbone_pipeline(BACKBONES, head="zero-shot", random_state=0, cache=tmp_path)
    clf.set_params(multibackboneembedder__on_error="nan").fit(X[:18], y[:18])
    table = clf[:-1].transform(X[18:])
    shown_by_ensemble = shown(Display.from_estimator(clf[-1], table, y[18:]))
    for a, b in zip(shown(Display.from_estimator(clf, X[18:], y[18:])), shown_by_ensemble):
        assert_allclose(a, b)
    with pytest.raises(ValueError, match=UNREADABLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Display.from_estimator(clf, [X[0], "no_such_file.png"], y[:2])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        Display.from_estimator(clf, ["no_such_file.png"], y[:2])


@pytest.mark.parametrize("Display", DISPLAYS)
def test_axes_are_the_given_or_new_ones(Display, clf, test_set):
    figure, axes = plt.subplots(1, 2)
    display = Display.from_estimator(clf, *test_set, ax=axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert not axes[0].has_data()
    assert display.plot() is display
    assert display.ax_ is not axes[1]
    assert display.figure_ is display.ax_.figure is not figure


@pytest.mark.parametrize("Display", DISPLAYS)
def test_figures_are_drawn_with_everything_inside(Display, clf, test_set):
    display = Display.from_estimator(clf, *test_set)
    figure = display.figure_
    figure.draw_without_rendering()
    needed = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert needed.x0 >= -0.01 and needed.y0 >= -0.01
    assert needed.x1 <= width + 0.01 and needed.y1 <= height + 0.01


@pytest.mark.parametrize("Display", [d for d in DISPLAYS if d is not ReliabilityDisplay])
def test_only_fitted_ensembles_are_shown(Display, test_set):
    with pytest.raises(TypeError, match=r"must be an ensemble that has .+; got LogisticRegression"):
        Display.from_estimator(make_pipeline(LogisticRegression()), *test_set)
    with pytest.raises(NotFittedError):
        Display.from_estimator(AdaptiveBackboneEnsemble(BACKBONES), *test_set)


def test_a_router_without_weights_is_named(clf, test_set):
    votes = clone(clf).set_params(router="vote").fit(*test_set)
    with pytest.raises(TypeError, match="got AdaptiveBackboneEnsemble with router='vote', which"):
        RoutingWeightsDisplay.from_estimator(votes, *test_set)


@pytest.mark.parametrize("Display", DISPLAYS)
def test_pipelines_in_pipelines_are_shown(Display, clf, test_set):
    X, y = test_set
    step = FunctionTransformer(np.negative)
    nested = make_pipeline(step, make_pipeline(step, clf))
    displays = [Display.from_estimator(one, X, y) for one in (nested, clf)]
    for of_nested, of_clf in zip(*map(shown, displays)):
        assert_allclose(of_nested, of_clf)


@pytest.mark.parametrize("Display", DISPLAYS)
def test_of_a_search_the_best_estimator_is_shown(Display, table, test_set):
    rules = {"router": ["uniform", "static"]}
    search = GridSearchCV(AdaptiveBackboneEnsemble(BACKBONES, head="zero-shot"), rules, cv=2)
    search.fit(*table)
    displays = [Display.from_estimator(one, *test_set) for one in (search, search.best_estimator_)]
    for of_search, of_best in zip(*map(shown, displays)):
        assert_allclose(of_search, of_best)


# Routing weights


def test_shares_are_means_over_the_rows_of_a_class(table, test_set):
    router = NeuralLogitController(max_iter=2, random_state=0)  # other weights for each row
    clf = AdaptiveBackboneEnsemble(BACKBONES, head="zero-shot", router=router).fit(*table)
    X, y = test_set
    display = RoutingWeightsDisplay.from_estimator(clf, X, y)
    weights = clf.routing_weights(X)
    shares = weights / np.abs(weights).sum(axis=1, keepdims=True)
    for label, row in zip(display.labels, display.shares, strict=True):
        assert_allclose(row, shares[y == label].mean(axis=0), rtol=1e-5)
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == SHORT
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == sorted(set(y))
    assert_allclose(display.im_.get_array(), display.shares)
    assert [float(text.get_text()) for text in display.text_] == pytest.approx(
        display.shares.ravel().tolist(), abs=0.006
    )


def test_the_same_weights_for_all_images_are_bars(table):
    X, y = table
    clf = AdaptiveBackboneEnsemble(BACKBONES, head="zero-shot", router="static", random_state=0)
    display = RoutingWeightsDisplay.from_estimator(clf.fit(X, y), X, y)
    assert display.im_ is None
    assert_allclose([bar.get_width() for bar in display.bars_], display.shares[0])
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == SHORT
    assert display.ax_.get_title() == "The same weights for all images"
    texts = [float(text.get_text()) for text in display.text_]
    assert texts == pytest.approx(display.shares[0].tolist(), abs=0.006)
    assert display.plot(include_values=False).text_ == []


def test_names_are_short_where_they_can_be_told_apart():
    long = ["zoo/RN20:residual", "ViT-B-32/openai:residual", "ViT-B-32/laion2b_e16", "all:kernel"]
    short = ["RN20 residual", "ViT-B-32 residual", "ViT-B-32/laion2b_e16", "kernel"]
    assert short_names(long) == short
    assert short_names(["zoo/RN50", "RN50/openai", "a:b"]) == ["zoo/RN50", "RN50/openai", "a b"]
    assert short_names(["/home/me/models/RN20@views:linear"]) == ["RN20@views linear"]


def test_figures_are_saved_for_print_and_nothing_is_cut_off(clf, test_set, tmp_path):
    X, y = test_set
    few = np.isin(y, np.unique(y)[:2])
    for Display in DISPLAYS:
        display = Display.from_estimator(clf, X[few], y[few])
        display.figure_.savefig(tmp_path / "figure.png")
        height, width = plt.imread(tmp_path / "figure.png").shape[:2]
        assert (width, height) == tuple(np.round(PRINT_DPI * display.figure_.get_size_inches()))
        for ax in display.figure_.axes:
            box = ax.get_tightbbox()
            if box is not None:
                assert box.y0 > -1 and box.y1 < display.figure_.bbox.height + 1, Display


@pytest.mark.parametrize(("n", "least"), [(4, 4), (60, 5)])
def test_names_of_points_do_not_cover_each_other(n, least):
    rng = np.random.default_rng(0)
    names = [f"backbone number {i} + another" for i in range(n)]
    display = DiversityGainDisplay(names, 0.1 * rng.random(n), rng.random(n))
    display.plot(annotate=True)
    boxes = [text.get_window_extent() for text in display.text_]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    assert len(boxes) >= least


def test_the_legend_of_a_reliability_diagram_is_above_it(clf, test_set):
    display = ReliabilityDisplay.from_estimator(clf, *test_set)
    display.figure_.draw_without_rendering()
    assert display.ax_.get_legend().get_window_extent().y0 >= display.ax_.bbox.y1


def test_routing_weights_take_names_from_a_frame():
    frame = pd.DataFrame({"RN50": [1, 2], "ViT-B-32": [3, 4]})
    display = RoutingWeightsDisplay.from_predictions([0, 1], frame)
    assert display.expert_names == ["RN50", "ViT-B-32"]


def test_display_labels_name_integer_classes():
    display = RoutingWeightsDisplay.from_predictions(
        [3, 7, 7], [[1, 3], [2, 2], [0, 1]], display_labels=["cat", "dog"], include_values=False
    )
    assert_allclose(display.shares, [[0.25, 0.75], [0.25, 0.75]])
    assert display.labels == ["cat", "dog"]
    assert display.text_ == []
    weighted = RoutingWeightsDisplay.from_predictions(
        [3, 5, 7], np.ones((3, 2)), sample_weight=[1, 0, 1], display_labels=["cat", "cow", "dog"]
    )
    assert weighted.labels == ["cat", "dog"]


@pytest.mark.usefixtures("without_names")
@pytest.mark.parametrize("Display", DISPLAYS)
def test_labels_are_doubted_as_in_score(Display, clf, test_set):
    X, y = test_set
    names = [f"picture {i}" for i in range(len(y))]
    labels = pd.Series(y, names)
    with pytest.warns(UserWarning, match="X and y have the same index in another order"):
        Display.from_estimator(clf, pd.DataFrame(X, names), labels.iloc[::-1])
    if Display is not RoutingWeightsDisplay:
        other = np.where(y == y[0], "cat", y)
        for labels_of in (other, pd.DataFrame({"y": other}), other[:, None]):
            with pytest.warns(UserWarning, match="labels that fit has not seen: 'cat'"):
                Display.from_estimator(clf, X, labels_of)
            with pytest.warns(UserWarning, match="labels that fit has not seen: 'cat'"):
                clf.score(X, labels_of)
    known, codes = np.unique(y, return_inverse=True)
    exchanged = known[(codes + 1) % len(known)]
    (text,) = said(Display.from_estimator, clf, X, exchanged)
    assert "would be if these labels were exchanged" in text
    with pytest.warns(UserWarning, match="as by chance, though the classifier is"):
        Display.from_estimator(clf, X, np.random.default_rng(0).permutation(y))


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="needs numpy 2")
@pytest.mark.usefixtures("without_names")
@pytest.mark.parametrize("Display", DISPLAYS)
def test_labels_may_be_variable_width_strings_of_numpy(Display, clf, test_set):
    X, y = test_set
    strings = y.astype(np.dtypes.StringDType())
    found, expected = (vars(Display.from_estimator(clf, X, labels)) for labels in (strings, y))
    for name, value in expected.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            assert_allclose(found[name], value)


@pytest.mark.usefixtures("without_names")
@pytest.mark.parametrize("Display", DISPLAYS)
def test_weights_in_another_order_are_doubted_once(Display, clf, test_set):
    X, y = test_set
    names = [f"picture {i}" for i in range(len(y))]
    weights = pd.Series(1.0, names)[::-1]
    for labels in (y, pd.Series(y, names)):
        draw = partial(Display.from_estimator, sample_weight=weights)
        (text,) = said(draw, clf, pd.DataFrame(X, names), labels)
        assert text.startswith("X and sample_weight have the same index in another order")


@pytest.mark.usefixtures("without_names")
def test_given_values_in_another_order_are_doubted():
    y = pd.Series([0, 0, 1], [*"abc"])
    weights = pd.DataFrame(np.eye(3)[:, :2] + 1, y.index)
    names, costs = y.index.to_series(), pd.Series([1, 2, 3], y.index)
    draw = RoutingWeightsDisplay.from_predictions
    assert not said(draw, y, weights)
    with pytest.warns(UserWarning, match="routing_weights and y_true have the same index"):
        draw(y[::-1], weights)
    draw = AccuracyCostDisplay.from_predictions
    assert not said(draw, names, costs, y)
    with pytest.warns(UserWarning, match="costs and accuracies have the same index in another"):
        draw(names, costs, y[::-1])
    with pytest.warns(UserWarning, match="costs and names have the same index in another order"):
        draw(names[::-1], costs, y)
    with pytest.warns(UserWarning, match="accuracies and names have the same index in another"):
        draw(names[::-1], [1, 2, 3], y)
    with pytest.warns(UserWarning, match="costs and accuracies have the same index in another"):
        draw([*"abc"], [1, 2, 3], y, lines={"all": (costs, y[::-1])})


def test_negative_weights_are_negative_shares():
    display = RoutingWeightsDisplay.from_predictions(
        [0, 0, 1, 1], [[3, -1], [1, -1], [1, 1], [0, 0]]
    )
    assert_allclose(display.shares, [[0.625, -0.375], [0.25, 0.25]])
    assert display.im_.get_clim() == (-0.375, 0.625)


def test_a_weight_of_a_row_counts_in_the_mean_of_its_class(clf, test_set):
    X, y = test_set
    times = 1 + np.arange(len(y)) % 3
    times[y == y[0]] = 0
    found = RoutingWeightsDisplay.from_estimator(clf, X, y, sample_weight=times)
    rows = np.repeat(np.arange(len(y)), times)
    weights = clf.routing_weights(X)[rows]
    expected = RoutingWeightsDisplay.from_predictions(y[rows], weights)
    assert_allclose(found.shares, expected.shares)
    assert found.labels == expected.labels
    assert y[0] not in found.labels


@pytest.mark.parametrize(
    "weights, options, message",
    [
        ([[1, 1], [1, 1]], {"display_labels": ["a"]}, r"display_labels has 1 entries\. Give 2"),
        ([[1, 1], [1, 1]], {"display_labels": ["1", "0"]}, "labels of y_true in another order"),
        ([[1, 1], [1, 1]], {"expert_names": ["a"]}, "expert_names must be 2 distinct names"),
        ([[1, 1], [1, 1]], {"display_labels": {1: "a", 0: "b"}}, "display_labels is a dict"),
        ([[1, 1], [1, 1]], {"display_labels": {"a", "b"}}, "display_labels is a set"),
        ([[1, 1], [1, 1]], {"expert_names": {"a", "b"}}, "expert_names is a set.*for each column"),
    ],
)
def test_wrong_weights_are_named(weights, options, message):
    with pytest.raises(ValueError, match=message):
        RoutingWeightsDisplay.from_predictions([0, 1], weights, **options)


# Correct sets


def test_bars_and_dots_are_the_correct_sets(clf, test_set, predictions):
    y = test_set[1]
    display = CorrectSetsDisplay.from_estimator(clf, *test_set)
    counts = correct_sets(y, predictions, expert_names=BACKBONES)
    assert display.counts.equals(counts)
    bars = display.axes_["counts"].patches
    assert [bar.get_height() for bar in bars] == counts.tolist()
    red = [same_color(bar.get_facecolor(), RED) for bar in bars]
    assert red == [not any(region) for region in counts.index]
    dots = display.axes_["members"].collections[1].get_offsets()
    wanted = [(i, e) for i, region in enumerate(counts.index) for e in np.flatnonzero(region)]
    assert sorted(map(tuple, np.asarray(dots, int).tolist())) == wanted
    accuracies = [bar.get_width() for bar in display.axes_["accuracy"].patches]
    assert_allclose(accuracies, np.mean(predictions == y[:, None], axis=0))


def test_weighted_regions_say_so(clf, test_set, predictions):
    X, y = test_set
    weight = np.full(len(y), 0.5)
    display = CorrectSetsDisplay.from_estimator(clf, X, y, sample_weight=weight, max_regions=3)
    whole = CorrectSetsDisplay.from_estimator(clf, X, y, max_regions=3)
    assert_allclose(display.counts, whole.counts / 2)
    labels = [one.axes_["counts"].get_ylabel() for one in (display, whole)]
    assert labels == ["Rows, weighted", "Rows"]
    light = CorrectSetsDisplay.from_estimator(
        clf, X, y, sample_weight=np.full(len(y), 1e-3), max_regions=3
    )
    notes = [
        [text.get_text() for text in one.axes_["counts"].texts if "smaller" in text.get_text()]
        for one in (light, whole)
    ]
    rest = whole.counts[3:].sum()
    assert f" {rest / 1000:.3g} rows" in notes[0][0]
    assert f" {rest} rows" in notes[1][0]
    bars = [one.axes_["accuracy"].patches for one in (display, whole)]
    accuracies = [[bar.get_width() for bar in each] for each in bars]
    assert_allclose(*accuracies)


def test_regions_can_be_fewer(clf, test_set):
    display = CorrectSetsDisplay.from_estimator(clf, *test_set, max_regions=3)
    largest = display.counts[:3]
    heights = [bar.get_height() for bar in display.axes_["counts"].patches]
    assert heights == largest.tolist()
    left_out = display.counts.sum() - largest.sum()
    notes = [text.get_text() for text in display.axes_["counts"].texts]
    assert f"{len(display.counts) - 3} smaller regions, {left_out} rows, not shown" in notes
    for n in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match=f"max_regions must be .* above 0; got {n}"):
            display.plot(max_regions=n)


# Accuracy against cost


def test_points_are_backbones_and_the_line_averages_the_cheapest(clf, test_set, predictions):
    X, y = test_set
    display = AccuracyCostDisplay.from_estimator(clf, X, y, name="router")
    gflops = list_backbones()["gflops"][BACKBONES].sort_values()
    assert display.names == gflops.index.tolist()
    assert_allclose(display.costs, gflops)
    order = [BACKBONES.index(name) for name in display.names]
    assert_allclose(display.accuracies, np.mean(predictions == y[:, None], axis=0)[order])

    costs, accuracies = display.lines["Logit average of the cheapest"]
    assert_allclose(costs, np.cumsum(gflops))
    logits = np.log(clf.expert_proba(X))[:, order]
    averages = np.cumsum(logits, axis=1).argmax(axis=2)
    assert_allclose(accuracies, np.mean(clf.classes_[averages] == y[:, None], axis=0))
    assert_allclose(np.ravel(display.lines["router"]), [gflops.sum(), clf.score(X, y)])
    assert display.ax_.get_xlabel() == "GFLOPs per image"
    assert {text.get_text() for text in display.text_} == set(SHORT)
    oracle = np.mean((predictions == y[:, None]).any(axis=1))
    assert display.oracle == pytest.approx(oracle)
    assert display.oracle_.get_ydata()[0] == pytest.approx(oracle)


def test_experts_of_a_backbone_share_its_cost(table, test_set):
    X, y = (part[: SHOTS * N_CLASSES] for part in table)
    heads = ["zero-shot", "linear", "linear-all"]
    clf = AdaptiveBackboneEnsemble(BACKBONES, head=heads, cv=3, random_state=0).fit(X, y)
    display = AccuracyCostDisplay.from_estimator(clf, *test_set)
    assert sorted(display.names) == sorted(BACKBONES)
    assert_allclose(display.costs.sum(), list_backbones()["gflops"][BACKBONES].sum())
    first = BACKBONES.index(display.names[0])
    logits = np.log(clf.expert_proba(test_set[0]))
    both = logits[:, first] + logits[:, first + len(BACKBONES)]
    expected = accuracy_score(test_set[1], clf.classes_[both.argmax(axis=1)])
    assert_allclose(display.accuracies[0], expected)


def test_a_picture_that_is_one_of_its_views_costs_nothing_more(pictures):
    embedder = MultiBackboneEmbedder("zoo/RN20", views="mirror", keep_plain=True)
    X, y = embedder.set_output(transform="pandas").fit_transform(pictures[0]), pictures[1]
    clf = AdaptiveBackboneEnsemble(random_state=0).fit(X, y)
    costs = {"zoo/RN20": 1.0, "zoo/RN20@views": 2.0}
    display = AccuracyCostDisplay.from_estimator(clf, X, y, costs=costs)
    assert list(display.names) == ["zoo/RN20@views"] and display.costs.tolist() == [2.0]
    assert display.lines["AdaptiveBackboneEnsemble"][0] == [2.0]


def test_costs_of_any_table(table):
    X, y = table
    blocks = [("cheap", slice(0, 128)), ("image__zoo/ViT-8", slice(128, 256))]
    clf = AdaptiveBackboneEnsemble(blocks, head="linear", cv=3, random_state=0).fit(X, y)
    costs = {"cheap": 2, "zoo/ViT-8": 1.5, "unused": 9}
    display = AccuracyCostDisplay.from_estimator(clf, X, y, costs=costs, sample_weight=y == y[0])
    assert display.names == ["zoo/ViT-8", "cheap"]
    assert display.ax_.get_xlabel() == "Cost"
    assert display.ax_.get_xscale() == "linear"
    shown = [
        AccuracyCostDisplay.from_estimator(clf, X, y, costs=costs, sample_weight=weight).accuracies
        for weight in (None, 2.0)
    ]
    assert_allclose(*shown)
    with pytest.raises(ValueError, match="sample_weight of row 0 is nan"):
        AccuracyCostDisplay.from_estimator(
            clf, X, y, costs=costs, sample_weight=np.full(len(y), np.nan)
        )
    with pytest.raises(ValueError, match="no entry for expert 'cheap'"):
        AccuracyCostDisplay.from_estimator(clf, X, y)
    for wrong in (-2, np.nan, None, "dear"):
        with pytest.raises(
            ValueError, match=f"The cost of 'cheap' is {wrong}; it must be a number"
        ):
            AccuracyCostDisplay.from_estimator(clf, X, y, costs={**costs, "cheap": wrong})


def test_averages_are_of_logits_however_large():
    X, y = load_digits(return_X_y=True)
    X, blocks = (
        X.astype(np.float32),
        [(name, slice(16 * i, 16 * i + 16)) for i, name in enumerate("abc")],
    )
    head = SGDClassifier(random_state=0)
    clf = AdaptiveBackboneEnsemble(blocks, head=head, calibrate=False, router="uniform")
    clf.fit(X[:900], y[:900])
    X, y = X[900:], y[900:]
    display = AccuracyCostDisplay.from_estimator(clf, X, y, costs=dict.fromkeys("abc", 1.0))
    of_all = display.lines["Logit average of the cheapest"][1][-1]
    assert of_all == clf.score(X, y)
    one, gains = clf.expert_proba(X).argmax(axis=2), []
    logits = clf.transform(X).reshape(len(X), 3, -1)
    for pair in ([0, 1], [0, 2], [1, 2]):
        averaged = clf.classes_[logits[:, pair].mean(axis=1).argmax(axis=1)] == y
        best = (clf.classes_[one[:, pair]] == y[:, None]).mean(axis=0).max()
        gains.append(averaged.mean() - best)
    assert_allclose(DiversityGainDisplay.from_estimator(clf, X, y).gains, gains)


def test_a_backbone_that_only_heads_on_all_blocks_read_is_paid_for(table):
    X, y = table
    blocks = list(zip([*BACKBONES[:2], "mine"], np.split(np.arange(X.shape[1]), 3)))
    costs = {BACKBONES[0]: 1.0, BACKBONES[1]: 2.0, "mine": 100.0}
    clf = AdaptiveBackboneEnsemble(blocks, head=["zero-shot", "linear-all"], random_state=0)
    display = AccuracyCostDisplay.from_estimator(clf.fit(X, y), X, y, costs=costs)
    assert display.names == BACKBONES[:2]
    assert display.lines["AdaptiveBackboneEnsemble"][0].tolist() == [103.0]
    del costs["mine"]
    with pytest.raises(ValueError, match="no entry for block 'mine'; name it, as in"):
        AccuracyCostDisplay.from_estimator(clf, X, y, costs=costs)
    clf.set_params(head="linear-all").fit(X, y)
    with pytest.raises(ValueError, match="No block has an expert of its own"):
        AccuracyCostDisplay.from_estimator(clf, X, y, costs={**costs, "mine": 100.0})


def test_other_columns_beside_pictures_have_a_cost_of_their_own(table):
    X, y = table
    names = MultiBackboneEmbedder(BACKBONES).get_feature_names_out()
    frame = pd.DataFrame(X, columns=names)
    frame["price"] = np.random.default_rng(0).normal(size=len(X))
    clf = AdaptiveBackboneEnsemble(random_state=0).fit(frame, y)
    costs = dict.fromkeys(BACKBONES, 2.0)
    with pytest.raises(ValueError, match="no entry for expert 'other:linear'; name its block"):
        AccuracyCostDisplay.from_estimator(clf, frame, y, costs=costs)
    display = AccuracyCostDisplay.from_estimator(clf, frame, y, costs={**costs, "other": 0.0})
    assert display.names == ["other", *BACKBONES]
    assert display.costs.tolist() == [0.0] + [2.0] * len(BACKBONES)


def test_a_backbone_on_two_columns_of_images_is_two_points(table):
    X, y = table
    first, _, last = np.split(X, len(BACKBONES), axis=1)
    X, width = np.hstack([first, np.roll(first, 1, axis=0), last]), first.shape[1]
    names = ["front__zoo/RN20", "side__zoo/RN20", "zoo/ViT-16"]
    blocks = [(name, width * i + np.arange(width)) for i, name in enumerate(names)]
    clf = AdaptiveBackboneEnsemble(blocks, head="zero-shot", random_state=0).fit(X, y)
    display = AccuracyCostDisplay.from_estimator(clf, X, y)
    gflops = list_backbones()["gflops"][["zoo/RN20", "zoo/RN20", "zoo/ViT-16"]]
    points = dict(zip(display.names, display.costs, strict=True))
    assert points == dict(zip(names, gflops, strict=True))
    assert_allclose(display.lines["AdaptiveBackboneEnsemble"][0], gflops.sum())
    predicted = clf.classes_[clf.expert_proba(X)[:, 0].argmax(axis=1)]
    assert_allclose(display.accuracies[display.names.index(names[0])], np.mean(predicted == y))


def test_other_columns_are_free_where_no_costs_are_given(table):
    X, y = table
    names = MultiBackboneEmbedder(BACKBONES).get_feature_names_out()
    frame = pd.DataFrame(X, columns=names).assign(price=np.arange(len(X)) % 7)
    clf = AdaptiveBackboneEnsemble(head="linear", random_state=0).fit(frame, y)
    display = AccuracyCostDisplay.from_estimator(clf, frame, y)
    gflops = list_backbones()["gflops"][BACKBONES].sort_values()
    assert display.names == ["other", *gflops.index]
    assert_allclose(display.costs, [0, *gflops])
    blocks = [*zip(BACKBONES, np.split(names, 3)), ("mine", ["price"])]
    clf = AdaptiveBackboneEnsemble(blocks, head="linear", random_state=0).fit(frame, y)
    with pytest.raises(ValueError, match=r"expert 'mine'.*\['gflops'\], 'mine': 1\.5"):
        AccuracyCostDisplay.from_estimator(clf, frame, y)


def test_costs_and_accuracies_belong_together():
    with pytest.raises(ValueError, match="2 costs, but 1 accuracies"):
        AccuracyCostDisplay.from_predictions(["a", "b"], [1, 2], [0.5])
    with pytest.raises(ValueError, match="1 costs of line 'x', but 2"):
        AccuracyCostDisplay.from_predictions(["a"], [1], [0.5], lines={"x": ([1], [0.5, 0.6])})
    costs, draw = pd.Series([1, 2], ["a", "b"]), AccuracyCostDisplay.from_predictions
    (text,) = said(lambda: draw(["b", "a"], costs, [0.5, 0.6]))
    assert text.startswith("names has the index of costs in another order.")
    assert not said(lambda: draw(["b", "c"], costs, [0.5, 0.6]))
    assert len(said(lambda: draw(["b", "a"], costs, pd.Series([0.5, 0.6], ["a", "b"])))) == 1
    assert not said(lambda: draw([1, 0], pd.Series([1, 2], [0, 1]), [0.5, 0.6]))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        AccuracyCostDisplay.from_predictions(["a", "b"], [1], [0.5])
    for values, message in (
        (([1, 2], [50, 60]), "accuracies has 50, and is made of fractions, from 0 to 1"),
        (([-1, 2], [0.5, 0.6]), "costs has -1, and costs are at least 0"),
        ((1, 0.5), "costs must be a list of numbers, one for each point; got 1"),
    ):
        with pytest.raises(ValueError, match=message):
            AccuracyCostDisplay.from_predictions(["a", "b"], *values)
    for line in ((1, 0.5), pd.Series([0.5, 0.6], index=[1, 2])):
        with pytest.raises(ValueError, match="costs of line 'x' must be a list of numbers"):
            AccuracyCostDisplay.from_predictions(["a"], [1], [0.5], lines={"x": line})
    with pytest.raises(ValueError, match=r"\['x'\] must be \(costs, accuracies\); got 3 values"):
        AccuracyCostDisplay.from_predictions(["a"], [1], [0.5], lines={"x": [1, 2, 3]})
    with pytest.raises(ValueError, match="oracle has 75, and is made of fractions"):
        AccuracyCostDisplay.from_predictions(["a"], [1], [0.5], oracle=75)


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_output_in_frames_changes_no_display(output, clf, test_set):
    pytest.importorskip(output)
    expected = [
        AccuracyCostDisplay.from_estimator(clf, *test_set).accuracies,
        DiversityGainDisplay.from_estimator(clf, *test_set).gains,
    ]
    with config_context(transform_output=output):
        found = [
            AccuracyCostDisplay.from_estimator(clf, *test_set).accuracies,
            DiversityGainDisplay.from_estimator(clf, *test_set).gains,
        ]
    for one, other in zip(expected, found, strict=True):
        assert_allclose(one, other)


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_labels_stay_readable(seed):
    """Names of points that are well apart cover neither each other nor any point."""
    rng = np.random.default_rng(seed)
    costs, accuracies = np.arange(9.0) + rng.uniform(0, 0.3, 9), rng.permutation(9) / 10
    display = AccuracyCostDisplay.from_predictions(list("abcdefghi"), costs, accuracies)
    boxes = [text.get_window_extent() for text in display.text_]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    positions = display.ax_.transData.transform(np.column_stack([costs, accuracies]))
    assert not any(box.contains(*position) for box in boxes for position in positions)
    frame = display.ax_.bbox
    assert all(frame.contains(*box.min) and frame.contains(*box.max) for box in boxes)
    for text, position in zip(display.text_, positions):
        near = np.linalg.norm(
            positions - np.mean(text.get_window_extent().get_points(), axis=0), axis=1
        )
        assert_allclose(positions[near.argmin()], position)
    plt.close(display.figure_)


def test_names_of_many_points_are_shown_only_if_wanted():
    names, values = [f"backbone {i}" for i in range(16)], np.arange(16.0)
    accuracy = partial(AccuracyCostDisplay.from_predictions, names, values, values / 16)
    for draw in (accuracy, DiversityGainDisplay(names, values, values).plot):
        assert [len(draw(annotate=one).text_) > 0 for one in ("auto", True)] == [False, True]


def test_labels_of_near_points_do_not_overlap():
    display = AccuracyCostDisplay.from_predictions(
        ["zoo/ViT-16", "zoo/RegNet", "zoo/DLA"], [1, 1.1, 5], [0.5, 0.503, 0.7]
    )
    boxes = [text.get_window_extent() for text in display.text_]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


# Reliability


def test_reliability_shows_the_calibration_error(clf, test_set):
    X, y = test_set
    display = ReliabilityDisplay.from_estimator(clf, X, y, n_bins=5, strategy="quantile")
    proba = clf.predict_proba(X)
    options = dict(labels=clf.classes_, n_bins=5, strategy="quantile")
    error = expected_calibration_error(y, proba, **options)
    assert_allclose(display.expected_calibration_error, error)
    assert display.line_.get_label() == f"AdaptiveBackboneEnsemble (ECE {error:.3f})"
    assert_allclose(display.share.sum(), 1)
    assert_allclose(display.share @ display.accuracy, clf.score(X, y))
    assert_allclose(display.share @ display.confidence, proba.max(axis=1).mean(), rtol=1e-5)
    assert_allclose(display.line_.get_xydata().T, [display.confidence, display.accuracy])


def test_reliability_knows_the_label_of_rejected_rows(table):
    X, y = table
    inside, of_class = y != y[0], np.unique(y, return_inverse=True)[1]
    clf = OpenSetClassifier(LogisticRegression(max_iter=500)).fit(X[inside], of_class[inside])
    rejected = np.where(inside, of_class, -1)
    display = ReliabilityDisplay.from_estimator
    known = display(clf, X[inside], of_class[inside])
    with no_warning():
        found = display(clf, X, rejected)
    assert_allclose(found.expected_calibration_error, known.expected_calibration_error)
    with pytest.raises(ValueError, match="No row of y has a label of the classes"):
        display(clf, X[~inside], rejected[~inside])
    with pytest.raises(ValueError, match="No row of y has a label of the classes"):
        display(clf, X, rejected, sample_weight=np.where(inside, 0.0, 1.0))
    names = np.array([f"class {label}" for label in y])
    of_text = OpenSetClassifier(LogisticRegression(max_iter=500)).fit(X[inside], names[inside])
    ReliabilityDisplay.from_estimator(of_text, X, np.where(inside, names, ""))
    (text,) = said(
        lambda: ReliabilityDisplay.from_estimator(clf, X, np.where(inside, of_class, 99))
    )
    assert "labels that fit has not seen: 99" in text


def test_reliability_diagrams_share_axes(clf, test_set):
    X, y = test_set
    first = ReliabilityDisplay.from_estimator(clf, X, y)
    proba = clf.expert_proba(X)[:, 0]
    ReliabilityDisplay.from_predictions(
        y, proba, labels=clf.classes_, name="RN20", ax=first.ax_, color="k"
    )
    labels = [text.get_text().split(" (")[0] for text in first.ax_.get_legend().get_texts()]
    assert labels == ["Perfectly calibrated", "AdaptiveBackboneEnsemble", "RN20"]


def test_reliability_of_labels_in_a_column(table):
    X, y = table
    shown, expected = (
        ReliabilityDisplay.from_estimator(one.fit(X, y), X, y)
        for one in (LabelsInColumn(max_iter=500), LogisticRegression(max_iter=500))
    )
    assert_allclose(shown.accuracy, expected.accuracy)


def test_reliability_of_any_classifier(table):
    X, y = table
    sure = LogisticRegression(max_iter=500).fit(X, y)
    proba = sure.predict_proba(X)
    too_sure = softmax(10 * np.log(proba), axis=1)
    calm = ReliabilityDisplay.from_estimator(sure, X, y)
    rash = ReliabilityDisplay.from_predictions(y, too_sure)
    assert rash.share @ rash.confidence > calm.share @ calm.confidence
    assert_allclose(rash.share @ rash.accuracy, calm.share @ calm.accuracy)


def test_wrong_bins_are_named():
    with pytest.raises(ValueError, match=r"'strategy' parameter of ReliabilityDisplay\.from_pred"):
        ReliabilityDisplay.from_predictions([0, 1], [0.2, 0.7], strategy="width")


# Diversity against gain


@pytest.mark.parametrize("n_members", [2, 3])
def test_gain_of_all_subsets(clf, test_set, predictions, n_members):
    X, y = test_set
    display = DiversityGainDisplay.from_estimator(clf, X, y, n_members=n_members)
    logits, disagreement = np.log(clf.expert_proba(X)), disagreement_matrix(predictions).to_numpy()
    right = np.mean(predictions == y[:, None], axis=0)
    subsets = [list(members) for members in combinations(range(3), n_members)]
    for i, members in enumerate(subsets):
        combined = clf.classes_[logits[:, members].mean(axis=1).argmax(axis=1)]
        assert_allclose(display.gains[i], np.mean(combined == y) - right[members].max(), atol=1e-12)
        pairs = [disagreement[a, b] for a, b in combinations(members, 2)]
        assert_allclose(display.diversities[i], np.mean(pairs))
        assert display.names[i] == " + ".join(BACKBONES[e] for e in members)
    assert len(display.gains) == len(subsets)
    assert_allclose(
        display.points_.get_offsets(), np.column_stack([display.diversities, display.gains])
    )


def test_equal_members_gain_nothing(predictions, test_set):
    y, twice = test_set[1], predictions[:, [0, 0]]
    display = DiversityGainDisplay.from_predictions(
        {"twins": (y, twice, twice[:, 0]), "oracle": (y, predictions, y)}, annotate=False
    )
    assert display.diversities[0] == display.gains[0] == 0
    assert display.diversities[1] > 0 and display.gains[1] > 0
    assert display.text_ == []


def test_given_predictions_of_combinations_are_doubted(predictions, test_set):
    names = [f"picture {i}" for i in range(len(predictions))]
    y, combined = pd.Series(test_set[1], names), pd.Series(predictions[:, 0], names)
    draw = DiversityGainDisplay.from_predictions
    assert not said(draw, {"all": (y, predictions, combined)})
    with pytest.warns(UserWarning, match="y_pred and y_true have the same index in another order"):
        draw({"all": (y, predictions, combined[::-1])})
    codes = np.unique(y, return_inverse=True)[1]
    of_experts = np.searchsorted(np.unique(y), predictions)
    with pytest.warns(UserWarning, match="Labels of y_true begin at 1, and predictions at 0"):
        draw({"all": (codes + 1, of_experts, of_experts[:, 0])})


def test_combinations_may_have_numbers_as_names(predictions, test_set):
    of_2024 = test_set[1], predictions, predictions[:, 0]
    assert DiversityGainDisplay.from_predictions({2024: of_2024}).names == ["2024"]


def test_wrong_combinations_are_named(clf, test_set):
    with pytest.raises(TypeError, match=r"costs is a list\. Give a dict"):
        AccuracyCostDisplay.from_estimator(clf, *test_set, costs=[1, 2])
    with pytest.raises(TypeError, match="lines is a dict from labels; got list"):
        AccuracyCostDisplay.from_predictions(["a"], [1], [0.5], lines=[([1], [0.5])])
    with pytest.raises(TypeError, match="n_members must be an instance of int"):
        DiversityGainDisplay.from_estimator(clf, *test_set, n_members=2.0)
    with pytest.raises(TypeError, match="combinations must be a dict from names to"):
        DiversityGainDisplay.from_predictions([([0, 1], [[0, 1], [1, 1]], [0, 1])])
    with pytest.raises(ValueError, match=r"combinations\['a'\] must be .* got Series"):
        DiversityGainDisplay.from_predictions(pd.DataFrame({"a": [1]}))
    with pytest.raises(ValueError, match="n_members must be between 2 and"):
        DiversityGainDisplay.from_estimator(clf, *test_set, n_members=4)
    y, members = ["cat", "dog"], [["cat", "dog"], ["dog", "dog"]]
    cases = [((y, members), "tuple of 2"), ((y, members, y, [1, 1]), "tuple of 4"), (3, "int")]
    for wrong, got in cases:
        message = rf"combinations\['x'\] must be \(y_true, predictions, y_pred\).* got {got}"
        with pytest.raises(ValueError, match=message):
            DiversityGainDisplay.from_predictions({"x": wrong})
    with pytest.raises(ValueError, match="combinations is empty"):
        DiversityGainDisplay.from_predictions({})
    with pytest.raises(ValueError, match="'alone' has one member"):
        DiversityGainDisplay.from_predictions({"alone": ([0, 1], [[0], [1]], [0, 1])})
