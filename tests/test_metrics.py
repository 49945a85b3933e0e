"""Tests of skclipens.metrics against definitions written out, and their invariances."""

import tracemalloc
from collections import Counter
from functools import partial
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
from _said import no_warning, said
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from scipy.stats import ortho_group
from sklearn.datasets import load_iris
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import cross_val_score

from skclipens import MultiBackboneEmbedder
from skclipens.datasets import load_emoji
from skclipens.inspection import (
    CorrectSetsDisplay,
    DiversityGainDisplay,
    ReliabilityDisplay,
    RoutingWeightsDisplay,
)
from skclipens.metrics import (
    correct_sets,
    disagreement_matrix,
    expected_calibration_error,
    headroom_closed_score,
    linear_cka,
    linear_cka_matrix,
    oracle_accuracy_score,
    permuted_oracle_accuracy_score,
)


@st.composite
def predicted(draw):
    """True labels of up to 30 rows and the predictions of up to 4 experts."""
    n, n_experts = draw(st.integers(1, 30)), draw(st.integers(1, 4))
    labels = st.integers(0, 3)
    return (
        draw(arrays(int, n, elements=labels)),
        draw(arrays(int, (n, n_experts), elements=labels)),
    )


@st.composite
def predicted_proba(draw):
    """True labels, all of 3 classes among them, and probabilities."""
    n = draw(st.integers(3, 40))
    y = draw(arrays(int, n, elements=st.integers(0, 2)))
    y[:3] = [0, 1, 2]
    odds = draw(arrays(float, (n, 3), elements=st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0])))
    odds[:, 0] += odds.sum(axis=1) == 0
    return y, odds / odds.sum(axis=1, keepdims=True)


def repeats_of(n):
    """Integer weights, with zeros, and the row positions that they stand for."""
    weight = np.arange(n) % 3
    weight[-1] = 1
    return weight, np.repeat(np.arange(n), weight)


# Experts


@given(predicted())
def test_oracle_is_right_where_any_expert_is(data):
    y, predictions = data
    expected = sum(label in row for label, row in zip(y, predictions)) / len(y)
    assert_allclose(oracle_accuracy_score(y, predictions), expected)


@given(predicted())
def test_an_expert_more_never_hurts_the_oracle(data):
    y, predictions = data
    scores = [
        oracle_accuracy_score(y, predictions[:, : k + 1]) for k in range(predictions.shape[1])
    ]
    assert scores == sorted(scores)
    assert scores[0] == np.mean(predictions[:, 0] == y)


@given(predicted())
def test_permuted_oracle_is_the_mean_over_permutations(data):
    y, predictions = data
    pairs = [label in row for label in y for row in predictions]
    assert_allclose(permuted_oracle_accuracy_score(y, predictions), np.mean(pairs))


def test_permuted_oracle_of_experts_that_are_always_right_is_one():
    for n_rows in range(1, 200):
        y = np.arange(n_rows) % 7
        every = np.broadcast_to(np.arange(7), (n_rows, 7))
        weight = np.random.default_rng(n_rows).uniform(0.1, 1, n_rows)
        assert permuted_oracle_accuracy_score(y, every, sample_weight=weight) <= 1


def test_labels_may_be_a_column():
    y, predictions = np.array([[0], [1], [1]]), [[0, 1], [0, 1], [0, 0]]
    with pytest.warns(match="column-vector"):
        found = permuted_oracle_accuracy_score(y, predictions)
    assert found == permuted_oracle_accuracy_score(y.ravel(), predictions)


def test_permuted_oracle_of_guessers():
    """Five independent guessers among ten classes, and five experts that always agree."""
    rng = np.random.default_rng(0)
    y, guesses = rng.integers(10, size=4000), rng.integers(10, size=(4000, 5))
    found = [
        oracle_accuracy_score(y, guesses),
        permuted_oracle_accuracy_score(y, guesses),
    ]
    assert_allclose(found, 1 - 0.9**5, atol=0.02)
    alike = np.repeat(y[:, None], 5, axis=1)
    assert_allclose(permuted_oracle_accuracy_score(y, alike), 0.1, atol=0.01)


@given(predicted())
def test_headroom_goes_from_the_best_expert_to_the_oracle(data):
    y, predictions = data
    # Two rows, each of which one other expert alone classifies correctly: there is headroom.
    y = np.append(y, [0, 0])
    predictions = np.pad(predictions, [(0, 2), (0, 1)], constant_values=-1)
    predictions[-2, 0] = predictions[-1, -1] = 0
    correct = predictions == y[:, None]
    best = correct.mean(axis=0).argmax()
    assert headroom_closed_score(y, predictions, predictions[:, best]) == 0
    oracle = np.where(correct.any(axis=1), y, -1)
    assert_allclose(headroom_closed_score(y, predictions, oracle), 1)
    assert headroom_closed_score(y, predictions, np.full(len(y), -1)) <= 0
    assert headroom_closed_score(y, predictions, y) >= 1


def test_no_headroom_is_undefined():
    with pytest.warns(UndefinedMetricWarning, match="no better than the best expert"):
        score = headroom_closed_score([0, 1, 2], [[0, 1], [1, 1], [0, 1]], [0, 1, 2])
    assert np.isnan(score)
    y, predictions = [0, 1, 2, 3], [[0, 1], [1, 1], [0, 1], [0, 3]]  # the last row has no weight
    with pytest.warns(UndefinedMetricWarning, match="no better than the best expert"):
        assert np.isnan(headroom_closed_score(y, predictions, y, sample_weight=[1, 1, 1, 0]))


@given(predicted())
def test_weights_are_repetitions(data):
    y, predictions = data
    weight, rows = repeats_of(len(y))

    def check(measure, *columns, **kwargs):
        weighted = measure(*columns, sample_weight=weight)
        assert_allclose(weighted, measure(*(column[rows] for column in columns)), atol=1e-12)

    check(oracle_accuracy_score, y, predictions)
    check(permuted_oracle_accuracy_score, y, predictions)
    check(disagreement_matrix, predictions)
    correct = (predictions == y[:, None])[rows]
    if correct.any(axis=1).mean() > correct.mean(axis=0).max():
        check(headroom_closed_score, y, predictions, predictions[:, -1])


@given(predicted())
def test_correct_sets_partition_the_rows(data):
    y, predictions = data
    counts = correct_sets(y, predictions)
    regions = Counter(tuple((row == label).tolist()) for label, row in zip(y, predictions))
    none = (False,) * predictions.shape[1]
    regions.setdefault(none, 0)
    assert counts.to_dict() == dict(regions)
    assert counts.is_monotonic_decreasing
    assert counts.sum() == len(y)
    for level, name in enumerate(counts.index.names):
        right = counts[counts.index.get_level_values(name)].sum()
        assert right == np.sum(predictions[:, level] == y)


def test_correct_sets_take_names_from_a_frame():
    frame = pd.DataFrame({"RN50": ["cat", "dog"], "ViT-B-32": ["cat", "cat"]})
    counts = correct_sets(["cat", "dog"], frame)
    assert counts.index.names == ["RN50", "ViT-B-32"]
    assert counts[True, False] == 1
    assert isinstance(correct_sets([0, 1], [[0], [0]]).index, pd.MultiIndex)
    assert disagreement_matrix(frame).index.tolist() == ["RN50", "ViT-B-32"]


@given(predicted())
def test_a_weight_in_correct_sets_counts_as_so_many_rows(data):
    y, predictions = data
    times = np.arange(len(y)) % 3
    if not times.any():
        return
    found = correct_sets(y, predictions, sample_weight=times)
    rows = np.repeat(np.arange(len(y)), times)
    assert found.to_dict() == correct_sets(np.asarray(y)[rows], predictions[rows]).to_dict()
    assert found.dtype == float


@given(predicted())
def test_disagreement_is_a_distance(data):
    _, predictions = data
    matrix = disagreement_matrix(predictions).to_numpy()
    for a, b in combinations(range(len(matrix)), 2):
        assert_allclose(matrix[a, b], np.mean(predictions[:, a] != predictions[:, b]))
        assert (matrix[a, b] <= matrix[a] + matrix[:, b] + 1e-12).all()
    assert_allclose(matrix, matrix.T)
    assert (np.diag(matrix) == 0).all()


PROBA = [[0.9, 0.1], [0.5, 0.5]]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: oracle_accuracy_score([0, 1], [[0, 1]]), "inconsistent numbers of samples"),
        (lambda: oracle_accuracy_score([0, 1], [0, 1]), r"shape \(2,\), .*order of the arguments"),
        (lambda: oracle_accuracy_score(["0", "1"], [[0], [1]]), "must both be strings"),
        (lambda: oracle_accuracy_score([0], [[0]], sample_weight=[-1]), "sample_weight"),
        (lambda: oracle_accuracy_score([0], [[0]], sample_weight=[0]), "sample_weight"),
        (lambda: headroom_closed_score([0], [[0]], [0, 1]), "inconsistent numbers of samples"),
        (lambda: correct_sets([0], [[0, 1]], expert_names=["a"]), "2 distinct names"),
        (lambda: correct_sets([0], [[0, 1]], expert_names={"a", "b"}), "expert_names is a set"),
        (lambda: disagreement_matrix([[0, 1]], expert_names=["a", "a"]), "2 distinct names"),
        (
            lambda: oracle_accuracy_score([0, 1], PROBA),
            r"0.9 in row 0, column 0.* of predict_proba",
        ),
        (
            lambda: oracle_accuracy_score([0, 1], np.ones((2, 5, 2))),
            r"shape \(2, 5, 2\), as expert_proba gives it.*argmax\(axis=2\)",
        ),
        (lambda: disagreement_matrix(PROBA), r"0.9 in row 0, column 0.*as predict gives them"),
        (
            lambda: headroom_closed_score([0, 1], [[0], [1]], [0.5, 1]),
            "y_pred has 0.5 in row 0, which",
        ),
        (
            lambda: headroom_closed_score(["a", "b"], [["a"], ["b"]], ["a", None]),
            "y_pred has None in row 1, which is no label. Leave such rows out of y_pred",
        ),
        (lambda: correct_sets(["a", "b"], [["a"], [None]]), "None in row 1, column 0.*no label"),
        (lambda: oracle_accuracy_score([0, 1], {"a": [0, 1]}), "predictions is a dict. Give a li"),
        (
            lambda: oracle_accuracy_score([0, 2], [[True], [False]]),
            "predictions holds True and False, as of predictions == y_true, .* such as 2. Pass lab",
        ),
        (lambda: correct_sets([True, False], [[3], [1]]), "y_true holds True .* such as 3"),
        (
            lambda: expected_calibration_error([0, 1], np.full((2, 5, 2), 0.5)),
            r"y_proba has shape \(2, 5, 2\), as expert_proba gives it.*y_proba\[:, e\]",
        ),
        (
            lambda: expected_calibration_error([0, 1], [[0.5, 0.5], [np.nan, np.nan]]),
            "y_proba has NaN in row 1, .* Leave such rows out of y_proba and of y_true",
        ),
    ],
)
def test_wrong_predictions_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("form", [np.array, pd.DataFrame])
@pytest.mark.parametrize(
    ("measure", "name"),
    [
        (lambda y: headroom_closed_score([0, 1], [[0], [1]], y), "y_pred"),
        (lambda y: headroom_closed_score(y, [[0], [1]], [0, 1]), "y_true"),
        (lambda y: oracle_accuracy_score(y, [[0], [1]]), "y_true"),
        (lambda y: permuted_oracle_accuracy_score(y, [[0], [1]]), "y_true"),
        (lambda y: correct_sets(y, [[0], [1]]), "y_true"),
        (lambda y: expected_calibration_error(y, PROBA), "y_true"),
        (lambda y: ReliabilityDisplay.from_predictions(y, PROBA), "y_true"),
        (lambda y: CorrectSetsDisplay.from_predictions(y, [[0], [1]]), "y_true"),
        (lambda y: RoutingWeightsDisplay.from_predictions(y, PROBA), "y_true"),
        (
            lambda y: DiversityGainDisplay.from_predictions({"all": ([0, 1], [[0], [1]], y)}),
            "y_pred",
        ),
    ],
)
def test_probabilities_in_place_of_labels_are_named(measure, name, form):
    message = rf"{name} has shape \(2, 2\), where one label .*classes_\[rows.argmax\(axis=1\)\]"
    with pytest.raises(ValueError, match=message):
        measure(form(PROBA))


@pytest.mark.parametrize(
    "y", [["a", None, "b"], ["a", np.nan, "b"], ["a", "", "b"], [0.0, np.nan, 1.0]]
)
@pytest.mark.parametrize("form", [list, pd.Series])
@pytest.mark.parametrize(
    "measure",
    [
        oracle_accuracy_score,
        permuted_oracle_accuracy_score,
        correct_sets,
        partial(headroom_closed_score, y_pred=["a", "a", "b"]),
        lambda y, _: expected_calibration_error(y, [[0.5, 0.5]] * 3),
        lambda y, _: ReliabilityDisplay.from_predictions(y, [[0.5, 0.5]] * 3),
        CorrectSetsDisplay.from_predictions,
        RoutingWeightsDisplay.from_predictions,
        lambda y, of: DiversityGainDisplay.from_predictions({"all": (y, of, of[:, 0])}),
    ],
)
def test_rows_without_a_label_are_not_measured(measure, y, form):
    predictions = np.array([[y[0], y[0]], [y[2], y[0]], [y[2], y[2]]])
    if measure is RoutingWeightsDisplay.from_predictions:
        predictions = np.ones((3, 2))
    with pytest.raises(ValueError, match="no label for 1 of 3 rows; the first is row 1"):
        measure(form(y), predictions)


def test_minus_one_is_a_label_of_rejected_rows():
    y = [0, -1, 1]
    assert oracle_accuracy_score(y, [[0], [-1], [0]]) == pytest.approx(2 / 3)
    assert expected_calibration_error(y, np.eye(3)[[1, 0, 2]], labels=[-1, 0, 1]) == 0


def test_minus_one_is_no_label_where_nothing_is_rejected():
    y, of_experts, p = [0, -1, 2], np.array([[0, 0], [2, 1], [2, 2]]), np.eye(3)
    for measure in (
        lambda: oracle_accuracy_score(y, of_experts),
        lambda: permuted_oracle_accuracy_score(y, of_experts),
        lambda: headroom_closed_score(y, of_experts, [0, 1, 2]),
        lambda: expected_calibration_error(y, p, labels=[0, 1, 2]),
        lambda: DiversityGainDisplay.from_predictions({"a": (y, of_experts, [0, 1, 2])}),
    ):
        told = [text for text in said(measure) if "y_true is -1 in 1 of 3 rows, and no pr" in text]
        assert len(told) == 1
    combined = said(lambda: headroom_closed_score(y, of_experts, [0, -1, 2]))  # it rejects
    assert not any("y_true is -1" in text for text in combined)
    assert not said(lambda: oracle_accuracy_score([-1, 1], [[1], [1]]))  # two classes


def test_an_empty_text_is_a_label_where_it_is_predicted():
    y, of_experts = ["a", "b", ""], [["a", "a"], ["b", "a"], ["", "a"]]
    assert oracle_accuracy_score(y, of_experts) == 1
    with_code = [["a", "a"], ["b", "a"], [-1, "a"]]
    with pytest.warns(UndefinedMetricWarning):
        headroom_closed_score(y, with_code, ["a", "b", "a"])
    with pytest.raises(ValueError, match="y_true has no label for 1 of 3 rows"):
        oracle_accuracy_score(y, [["a", "a"], ["b", "a"], ["b", "a"]])


def test_what_is_rejected_by_an_empty_text_is_what_minus_one_rejects():
    y, of_experts, combined = [0, 1, 0], [[0, -1], [1, 1], [1, 0]], [0, -1, 0]
    names = np.array(["cat", "dog", ""])
    found = [
        (
            oracle_accuracy_score(labels[y], labels[of_experts]),
            headroom_closed_score(labels[y], labels[of_experts], labels[combined]),
            disagreement_matrix(labels[of_experts]).to_numpy().tolist(),
        )
        for labels in (names, np.array([0, 1, -1]))
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "predictions",
    [
        pd.DataFrame({"a": ["x", "y"], "b": [0, 1]}),
        [["x", 0], ["y", 1]],
        np.array([["x", 0], ["y", 1]], dtype=object),
    ],
    ids=["frame", "list", "array"],
)
@pytest.mark.parametrize(
    "measure",
    [
        partial(oracle_accuracy_score, ["x", "y"]),
        disagreement_matrix,
        lambda of: headroom_closed_score(["x", "y"], of, ["x", "y"]),
    ],
)
def test_names_beside_codes_are_refused(measure, predictions):
    with pytest.raises(ValueError, match="'x' in row 0, column 0 and 0 in row 0, column 1: labels"):
        measure(predictions)
    for rejects in ([[-1, "x"], ["y", "y"]], [["x", "y"], [-1, "x"]]):  # the other expert, the best
        with_code, with_text = (
            measure(np.array(rejects, dtype=object)),
            measure(np.array([["" if one == -1 else one for one in row] for row in rejects])),
        )
        np.testing.assert_equal(np.asarray(with_code), np.asarray(with_text))


def test_predictions_may_be_variable_width_strings_of_numpy():
    of_experts = np.array([["a", "b"], ["b", "b"]])
    found = disagreement_matrix(of_experts.astype(np.dtypes.StringDType()))
    assert_allclose(found, disagreement_matrix(of_experts))


def test_an_index_in_another_order_is_named():
    y = pd.Series(["a", "b", "c"], ["x", "y", "z"])
    frame = pd.DataFrame({"one": y, "two": y})
    with pytest.warns(UserWarning, match=r"predictions and y_true have the same index in another"):
        assert oracle_accuracy_score(y[::-1], frame) < 1
    with pytest.warns(UserWarning, match=r"pass y_true.loc\[y_proba.index\]"):
        expected_calibration_error(y[::-1], pd.DataFrame(np.eye(3), y.index))
    with no_warning():
        assert oracle_accuracy_score(y[::-1].loc[frame.index], frame) == 1
    weights = pd.Series(1.0, y.index[::-1])
    for predictions, first in ((frame, "predictions"), (frame.to_numpy(), "y_true")):
        with pytest.warns(UserWarning, match=f"{first} and sample_weight have the same index"):
            oracle_accuracy_score(y, predictions, sample_weight=weights)
    X = pd.DataFrame(np.arange(6).reshape(3, 2) ** 2, y.index)
    with pytest.warns(UserWarning, match=r"pass Y.loc\[X.index\]"):
        assert linear_cka(X, X[::-1]) < 1


# Embeddings


@pytest.fixture(scope="module")
def embedding():
    """Embeddings of 60 pictures by two models of the zoo."""
    return MultiBackboneEmbedder(["zoo/RN20", "zoo/ViT-8"]).transform(load_emoji().filenames[::23])


def test_linear_cka_is_that_of_gram_matrices(embedding):
    X, Y = np.split(embedding.astype(float), 2, axis=1)
    centre = np.eye(len(X)) - 1 / len(X)
    K, L = centre @ X @ X.T @ centre, centre @ Y @ Y.T @ centre
    expected = np.sum(K * L) / np.sqrt(np.sum(K * K) * np.sum(L * L))
    assert_allclose(linear_cka(X, Y), expected)
    assert 0.1 < expected < 0.9


@given(st.integers(0, 2**32 - 1), st.integers(3, 20), st.integers(2, 6), st.floats(0.01, 100))
def test_linear_cka_ignores_rotation_shift_and_scale(seed, n, width, scale):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, width)), rng.normal(size=(n, 3))
    turned = scale * X @ ortho_group.rvs(width, random_state=rng) + rng.normal(size=width)
    score = linear_cka(X, Y)
    assert -1e-9 <= score <= 1 + 1e-9
    assert_allclose(linear_cka(turned, Y), score, atol=1e-9)
    assert_allclose(linear_cka(Y, X), score, atol=1e-12)
    assert_allclose(linear_cka(X, turned), 1, atol=1e-9)


def test_memory_of_linear_cka_is_linear_in_rows():
    X = np.random.default_rng(0).normal(size=(20_000, 8))
    tracemalloc.start()
    linear_cka(X, X[:, :4])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * X.nbytes < 20_000**2


def test_linear_cka_of_more_columns_than_rows():
    X = np.random.default_rng(0).normal(size=(20, 5_000))
    centred = X - X.mean(axis=0)
    x, y = centred[:, :2500], centred[:, 2500:]
    expected = np.sum((y.T @ x) ** 2) / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y)
    tracemalloc.start()
    assert_allclose(linear_cka(X[:, :2500], X[:, 2500:]), expected)
    matrix = linear_cka_matrix(X, [("x", slice(0, 2500)), ("y", slice(2500, None))])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_allclose(matrix, [[1, expected], [expected, 1]])
    assert peak < 10 * X.nbytes < 8 * 2500**2


@pytest.mark.parametrize("scale", [1e-250, 1e200, 1e307])
def test_linear_cka_of_very_large_and_very_small_numbers(embedding, scale):
    X, Y = np.split(embedding.astype(float), 2, axis=1)
    with no_warning():
        assert_allclose(linear_cka(X * scale, Y), linear_cka(X, Y))


def test_a_constant_column_changes_no_linear_cka(embedding):
    X, Y = np.split(embedding.astype(float), 2, axis=1)
    wide = np.c_[X, np.full(len(X), 1e300)]
    assert_allclose(linear_cka(wide, Y), linear_cka(X, Y))
    two = np.array([[1.0], [-1]])  # their difference leaves float64
    assert_allclose(linear_cka(1.7e308 * two, Y[:2]), linear_cka(two, Y[:2]))


def test_linear_cka_matrix_is_that_of_pairs(embedding):
    named = linear_cka_matrix(embedding, ["zoo/RN20", "zoo/ViT-8"])
    assert named.columns.tolist() == named.index.tolist() == ["zoo/RN20", "zoo/ViT-8"]
    pair = linear_cka(*np.split(embedding, 2, axis=1))
    assert_allclose(named, [[1, pair], [pair, 1]])
    names = [f"{name}__{i}" for name in named.columns for i in range(128)]
    frame = pd.DataFrame(embedding, columns=names)
    assert_allclose(linear_cka_matrix(frame).loc["zoo/RN20", "zoo/ViT-8"], pair)
    halves = [("x", slice(0, 128)), ("y", slice(128, None))]
    assert_allclose(linear_cka_matrix(embedding, halves), named)
    assert_allclose(linear_cka_matrix(pd.DataFrame(embedding), halves), named)
    assert linear_cka_matrix(pd.DataFrame(embedding)).shape == (1, 1)


def test_wrong_embeddings_are_named():
    X = np.eye(3)
    with pytest.raises(ValueError, match="Y: all rows are equal"):
        linear_cka(X, np.ones((3, 2)))
    with pytest.raises(ValueError, match="Block 'flat': all rows are equal"):
        linear_cka_matrix(np.hstack([X, np.ones((3, 2))]), [("flat", [3, 4]), ("x", [0])])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        linear_cka(X, X[:2])


# Calibration


def guo(y, proba, edges):
    """Equation 3 of Guo et al. with bins that are open to the left."""
    confidence, correct = proba.max(axis=1), proba.argmax(axis=1) == y
    error = 0
    rounded, edges = confidence.astype("f"), edges.astype("f")
    for low, high in pairwise(edges):
        rows = (low < rounded) & (rounded <= high)
        if rows.any():
            error += rows.mean() * abs(correct[rows].mean() - confidence[rows].mean())
    return error


@given(predicted_proba(), st.integers(1, 20))
def test_calibration_error_is_that_of_guo(data, n_bins):
    y, proba = data
    expected = guo(y, proba, np.append(np.arange(n_bins) / n_bins, 1 + 1e-9))
    assert_allclose(expected_calibration_error(y, proba, n_bins=n_bins), expected, atol=1e-12)


@given(predicted_proba(), st.sampled_from(["uniform", "quantile"]))
def test_calibration_error_takes_weights_as_repetitions(data, strategy):
    y, proba = data
    weight, rows = repeats_of(len(y))
    options = dict(labels=[0, 1, 2], strategy=strategy, n_bins=4)
    weighted = expected_calibration_error(y, proba, sample_weight=weight, **options)
    assert_allclose(
        weighted, expected_calibration_error(y[rows], proba[rows], **options), atol=1e-12
    )


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_confidences_on_an_edge_are_in_its_bin_whatever_their_last_digits(strategy):
    """As of nearest neighbours: shares of ten are the edges of ten bins."""
    tenths = np.random.default_rng(0).integers(5, 11, 300)
    proba = np.stack([tenths, 10 - tenths], axis=1) / 10
    y = tenths % 2  # in one bin, the right and the wrong rows of two confidences would cancel
    options = {"labels": [0, 1], "n_bins": 10, "strategy": strategy}
    expected = expected_calibration_error(y, proba, **options)
    for other in (proba.astype("f"), proba * (1 + 1e-15), proba * (1 - 1e-15)):
        assert_allclose(expected_calibration_error(y, other, **options), expected, atol=1e-6)


def test_quantile_bins_hold_equally_many_rows():
    rng = np.random.default_rng(0)
    confidence = np.sort(rng.uniform(0.5, 0.6, size=40))
    proba, y = np.column_stack([confidence, 1 - confidence]), rng.integers(0, 2, size=40)
    gaps = [
        abs(confidence[i : i + 10].mean() - np.mean(y[i : i + 10] == 0)) for i in (0, 10, 20, 30)
    ]
    error = expected_calibration_error(y, proba, strategy="quantile", n_bins=4)
    assert_allclose(error, np.mean(gaps))
    # One bin of uniform width takes them all.
    assert error > expected_calibration_error(y, proba, n_bins=4)


def test_calibration_error_of_sure_classifiers():
    y = ["cat", "dog", "owl", "owl"]
    sure = np.eye(3)[[0, 1, 2, 2]]
    assert expected_calibration_error(y, sure) == 0
    assert expected_calibration_error(y, sure[:, ::-1], labels=["owl", "dog", "cat"]) == 0
    assert expected_calibration_error(y, np.roll(sure, 1, axis=1)) == 1
    # A label that the classifier has not seen is wrong, however sure it is.
    assert expected_calibration_error(["yak"], sure[:1], labels=["cat", "dog", "owl"]) == 1


@pytest.mark.parametrize("as_given", [np.asarray, pd.Series])
def test_an_array_for_each_expert_is_no_table(as_given):
    of_experts = [as_given(np.arange(30) % n) for n in (2, 3, 4)]
    message = r"predictions has an array for each expert.* np.column_stack\(predictions\)"
    for measure in (disagreement_matrix, partial(oracle_accuracy_score, np.arange(30) % 2)):
        with pytest.raises(ValueError, match=message):
            measure(of_experts)
    rows = np.column_stack(of_experts)
    for same in (rows.tolist(), list(rows)):
        assert_allclose(disagreement_matrix(same), disagreement_matrix(rows))


def test_labels_that_are_numbered_otherwise_are_doubted():
    y = np.repeat([0, 1, 2], 10)
    predictions = np.stack([(y + 1) % 3, np.roll((y + 1) % 3, 1)], axis=1)
    for measure in (oracle_accuracy_score, correct_sets):
        with pytest.warns(UserWarning, match="90% would be if these labels were exchanged"):
            measure(y, predictions)
    with no_warning():
        oracle_accuracy_score(y, np.column_stack([predictions, y]))  # one expert is confused
        oracle_accuracy_score(y[::2], predictions[::2, :1])  # too few rows to know


def test_columns_in_another_order_than_labels_are_doubted():
    y = np.repeat(["cat", "dog", "owl"], 10)
    proba = np.full((30, 3), 0.1) + 0.7 * (y[:, None] == ["owl", "cat", "dog"])
    with pytest.warns(UserWarning, match="100% would be if these labels were exchanged"):
        assert expected_calibration_error(y, proba) > 0.7
    with no_warning():
        expected_calibration_error(y, proba, labels=["owl", "cat", "dog"])
    with pytest.warns(UserWarning, match="as by chance, though the classifier is 80% sure"):
        expected_calibration_error(np.tile(["cat", "dog", "owl"], 10), proba)


def test_columns_of_a_frame_in_another_order_than_labels_are_refused():
    y, labels = ["owl", "cat", "dog"], ["owl", "cat", "dog"]
    proba = pd.DataFrame(np.eye(3), columns=labels)
    with pytest.raises(ValueError, match="Columns of y_proba are 'owl', 'cat', 'dog', in another"):
        expected_calibration_error(y, proba)
    for frame in (proba, proba.set_axis(["p1", "p2", "p3"], axis=1), proba.to_numpy()):
        assert expected_calibration_error(y, frame, labels=labels) == 0
    numbered = pd.DataFrame(np.eye(3))  # its columns have no names
    assert expected_calibration_error([2, 1, 0], numbered, labels=[2, 1, 0]) == 0


def test_that_a_classifier_is_too_sure_is_no_doubt_of_the_labels():
    y = np.repeat([0, 1], 200)
    mostly_right = np.where(np.arange(400) % 5 < 3, y, 1 - y)
    of_one = np.zeros(400, int)
    for predicted, is_doubted in ((mostly_right, False), (of_one, True)):
        proba = np.where(np.arange(2) == predicted[:, None], 0.99, 0.01)
        with pytest.warns(UserWarning, match="as by chance") if is_doubted else no_warning():
            expected_calibration_error(y, proba)


def test_two_classes_need_one_column():
    y, second = [0, 1, 1, 0], np.array([0.2, 0.7, 0.4, 0.1])
    both = np.column_stack([1 - second, second])
    assert_allclose(expected_calibration_error(y, second), expected_calibration_error(y, both))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_calibration_error_is_a_scorer(n_classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < n_classes], y[y < n_classes]
    scorer = make_scorer(
        expected_calibration_error, response_method="predict_proba", greater_is_better=False
    )
    scores = cross_val_score(LogisticRegression(max_iter=500), X, y, scoring=scorer, cv=3)
    assert np.all((-0.3 < scores) & (scores < 0))


@pytest.mark.parametrize(
    "proba, options, message",
    [
        ([[0.5, 0.5], [0.7, 0.7]], {}, "Row 1 of y_proba"),
        ([[1.5, -0.5], [1, 0]], {}, "Row 0 of y_proba"),
        ([[0.5, 0.2, 0.3]] * 2, {}, "3 columns for 2 labels"),
        ([0, 1], {}, "y_proba holds labels, such as 0, .* predict_proba"),
        (["cat", "dog"], {}, "y_proba holds labels, such as 'cat'"),
        ([["cat", "dog"]] * 2, {}, "y_proba holds labels, such as 'cat', .* predict_proba"),
        (pd.DataFrame([["cat", "dog"]] * 2), {}, "y_proba holds labels, such as 'cat'"),
        ([[0.5, 0, 0.5]] * 2, {"labels": [0, 1, 1]}, "labels has 1 more than once.*as classes_"),
        ([[0.5, 0.5]] * 3, {}, r"inconsistent numbers of samples: \[2, 3\]"),
        ([[0.5, 0.5]] * 2, {"labels": {0, 1}}, "labels is a set"),
        ([[0.5, 0.5]] * 2, {"n_bins": 0}, "n_bins"),
        ([[0.5, 0.5]] * 2, {"strategy": "other"}, "strategy"),
    ],
)
def test_wrong_probabilities_are_named(proba, options, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error([0, 1], proba, **options)


def test_kinds_of_probabilities():
    y, proba = np.arange(6) % 3, np.eye(3)[np.arange(6) % 3]
    arrays = [proba.astype(dtype) for dtype in (np.longdouble, np.float16, bool, int)]
    for one in (*arrays, proba.tolist(), pd.DataFrame(proba)):
        assert expected_calibration_error(y, one) == 0
    with pytest.raises(TypeError, match="Sparse data was passed for y_proba"):
        expected_calibration_error(y, csr_array(proba))


def test_labels_that_no_prediction_has_are_doubted():
    y, predictions = ["cat", "dog"] * 5, [["Cat", "Cat"], ["Dog", "Cat"]] * 5
    with pytest.warns(UserWarning, match="No label of y_true, such as 'cat', .* such as 'Cat'"):
        assert oracle_accuracy_score(y, predictions) == 0
    with pytest.warns(UserWarning, match="No label of y_true, such as 'cat'"):
        expected_calibration_error(y, [[1, 0], [0.5, 0.5]] * 5, labels=["Cat", "Dog"])
    with no_warning():
        assert oracle_accuracy_score(y[:9], predictions[:9]) == 0  # few may all be wrong


@pytest.mark.parametrize("dtype", [int, np.uint8, float])
def test_positions_in_place_of_labels_are_doubted(dtype, recwarn):
    labels = np.array([1, 2, 3] * 5, dtype)
    for y, predictions in [(labels, labels - 1), (labels - 1, labels)]:
        predictions = np.stack([predictions, predictions.mean() + 0 * predictions], axis=1)
        with pytest.warns(UserWarning, match=r"67% of them .* 17%. .*classes_\[positions\]"):
            oracle_accuracy_score(y, predictions.astype(dtype))
    recwarn.clear()
    never_the_first = np.where(labels == 1, 2, labels)[:, None]
    assert oracle_accuracy_score(labels, never_the_first) == pytest.approx(2 / 3)
    y, mostly_right = np.r_[0, [1, 2] * 6, 3], np.r_[1, [1, 2] * 6, 4][:, None]
    assert oracle_accuracy_score(y, mostly_right) == pytest.approx(12 / 14)
    assert not recwarn.list
    with pytest.raises(ValueError, match=r"become labels by classes_\[positions\]"):
        oracle_accuracy_score(labels.astype(str), labels[:, None])


def test_names_of_experts_are_not_the_columns_in_another_order():
    frame = pd.DataFrame([[0, 1], [1, 1]], columns=["RN20", "ViT-8"])
    with pytest.raises(ValueError, match="in another order: 'ViT-8', 'RN20'"):
        correct_sets([0, 1], frame, expert_names=["ViT-8", "RN20"])
    assert list(disagreement_matrix(frame, expert_names=["new", "RN20"])) == ["new", "RN20"]
    by_position = frame.set_axis(range(2), axis=1)
    assert list(disagreement_matrix(by_position, expert_names=[1, 0])) == [1, 0]


def test_columns_of_probabilities_are_of_other_classes():
    """The model does not know class e, and no row is of class d."""
    y, proba = list("abce" * 5), pd.DataFrame(np.eye(4)[np.arange(20) % 4], columns=list("abcd"))
    for frame in (proba, proba.add_prefix("probability__")):
        with pytest.raises(ValueError, match="has the column 'd', which is no label of y_true"):
            expected_calibration_error(y, frame)
    assert expected_calibration_error(y, proba, labels=proba.columns) == 0.25
    assert expected_calibration_error(y, proba, labels=list("abce")) == 0.0


def test_columns_that_the_command_writes_are_in_the_order_of_texts():
    y, names = [1, 2, 10] * 5, ["probability__1", "probability__10", "probability__2"]
    proba = pd.DataFrame(np.eye(3)[[0, 2, 1] * 5], columns=names)
    message = r"in another order than the labels: 1, 2, 10\. .* of the columns: 1, 10, 2\."
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(y, proba)
    assert expected_calibration_error(y, proba, labels=[1, 10, 2]) == 0.0
    with pytest.raises(ValueError, match="in another order than the labels: 1, 2, 10"):
        expected_calibration_error(y, proba.set_axis([1, 10, 2], axis=1))


def test_disagreement_with_weights_in_another_order():
    frame = pd.DataFrame({"RN20": [0, 1, 2], "ViT-8": [0, 1, 1]}, index=list("abc"))
    weights = pd.Series([1.0, 1.0, 4.0], list("abc"))
    assert not said(lambda: disagreement_matrix(frame, sample_weight=weights))
    (text,) = said(lambda: disagreement_matrix(frame, sample_weight=weights[::-1]))
    assert text.startswith("predictions and sample_weight have the same index in another order.")
