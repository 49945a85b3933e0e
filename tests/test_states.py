"""Other containers, settings of torch and fits that fail give the same answer, or an error."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_wine

from skclipens import AdaptiveBackboneEnsemble, CLIPEmbedder
from skclipens.backbones import clear_backbone_cache
from skclipens.ensemble import MixtureRouter, NeuralLogitController
from skclipens.heads import LinearDiscriminantHead
from skclipens.labels import OpenSetClassifier, find_label_issues, suggest
from skclipens.metrics import expected_calibration_error, oracle_accuracy_score


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    X, y = X[::4], y[::4]
    return (X - X.mean(axis=0)) / X.std(axis=0), np.array(["red", "rose", "white"])[y]


# Labels


def test_nan_in_a_list_of_strings_is_no_label(wine):
    X, y = wine
    gaps = [np.nan if row % 5 == 3 else label for row, label in enumerate(y.tolist())]
    found = AdaptiveBackboneEnsemble(unlabeled="ignore").fit(X, gaps)
    assert found.classes_.tolist() == ["red", "rose", "white"]
    assert all(
        isinstance(gaps[row], float) for row in suggest(LinearDiscriminantHead(), X, gaps, 3)
    )
    for fit in (
        OpenSetClassifier(LinearDiscriminantHead()).fit,
        lambda X, y: find_label_issues(LinearDiscriminantHead(), X, y),
    ):
        with pytest.raises(ValueError, match=r"no label .* row 3, with nan"):
            fit(X, gaps)
        with pytest.raises(ValueError, match="y mixes types"):
            fit(X, [7, *y.tolist()[1:]])


def test_what_is_masked_is_missing(wine):
    X, y = wine
    labels, table, weights = np.ma.array(y), np.ma.array(X), np.ma.array(np.ones(len(y)))
    labels[3] = table[3, 5] = weights[3] = np.ma.masked
    clf = AdaptiveBackboneEnsemble()
    with pytest.raises(ValueError, match=r"y has no label for 1 .* row 3"):
        clf.fit(X, labels)
    with pytest.raises(ValueError, match="row 3, column 5"):
        clf.fit(table, y)
    with pytest.raises(ValueError, match="sample_weight of row 3 is None"):
        clf.fit(X, y, sample_weight=weights)
    with pytest.raises(ValueError, match="groups has no group for row 3"):
        clf.fit(X, y, groups=labels)
    with pytest.raises(ValueError, match="row 3, column 5"):
        clf.fit(X, y).predict(table)


def test_metrics_refuse_what_they_would_read_wrongly():
    with pytest.raises(ValueError, match="y_true mixes types"):
        oracle_accuracy_score([1, "cat"], [["1", "cat"], ["cat", "cat"]])
    proba = pd.DataFrame([[0.9, 0.1], [0.2, 0.8]], columns=["dog", "cat"])
    with pytest.raises(ValueError, match=r"another order .* labels in the order of the columns"):
        expected_calibration_error(["dog", "cat"], proba)
    found = expected_calibration_error(["dog", "cat"], proba, labels=proba.columns)
    assert_allclose(found, 0.15)


# Settings of torch


MODES = [torch.no_grad, torch.inference_mode]


def adam_minds_the_default_device():
    """As in torch 2.5, in which it puts its number of steps there."""
    parameter = torch.zeros(1, requires_grad=True)
    parameter.grad = torch.ones(1)
    try:
        with torch.device("meta"):
            torch.optim.Adam([parameter]).step()
    except RuntimeError:
        return True
    return False


@pytest.mark.parametrize(
    "setting",
    [*MODES, lambda: torch.device("meta")],
    ids=["no_grad", "inference_mode", "default_device"],
)
@pytest.mark.parametrize("kind", [NeuralLogitController, MixtureRouter])
def test_training_does_not_depend_on_modes_of_torch(wine, kind, setting):
    if kind is MixtureRouter and setting not in MODES and adam_minds_the_default_device():
        pytest.skip("Adam of this version of torch minds the default device")
    X, y = wine
    logits = np.stack([X[:, :3], X[:, 3:6]], axis=1)
    targets = np.unique(y, return_inverse=True)[1]
    router = kind(max_iter=3, random_state=0)
    expected = router.fit(X, logits, targets).weights(X, logits)
    with setting():
        found = router.fit(X, logits, targets).weights(X, logits)
    assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", [NeuralLogitController, MixtureRouter, CLIPEmbedder])
def test_nothing_depends_on_the_default_precision_of_torch(wine, kind):
    X, y = wine
    logits = np.stack([X[:, :3], X[:, 3:6], X[:, 6:9]], axis=1)
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)

    def answer():
        if kind is CLIPEmbedder:
            clear_backbone_cache()
            return CLIPEmbedder("zoo/RN20", precision="fp32").transform([picture])
        router = kind(max_iter=3, random_state=0)
        return router.fit(X, logits, np.unique(y, return_inverse=True)[1]).weights(X, logits)

    expected = answer()
    torch.set_default_dtype(torch.bfloat16)
    try:
        found = answer()
        assert torch.get_default_dtype() == torch.bfloat16
    finally:
        torch.set_default_dtype(torch.float32)
        clear_backbone_cache()
    assert_allclose(found, expected, atol=1e-6)


def test_pictures_are_embedded_whatever_the_default_device():
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    embedder = CLIPEmbedder("zoo/RN20", precision="fp32")
    expected = embedder.transform([picture])
    with torch.device("meta"):
        assert_allclose(embedder.transform([picture]), expected, atol=1e-6)


def test_an_open_set_classifier_forgets_names_of_columns(wine):
    X, y = wine
    names = [f"column{i}" for i in range(X.shape[1])]
    clf = OpenSetClassifier(LinearDiscriminantHead()).fit(pd.DataFrame(X, columns=names), y)
    assert clf.feature_names_in_.tolist() == names
    assert not hasattr(clf.fit(X, y), "feature_names_in_")
