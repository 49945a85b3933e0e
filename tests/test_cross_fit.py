"""What heads share that know what they would say without a row: copies, folds, failed fits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold

from skclipens import CLIPEmbedder
from skclipens.datasets import load_emoji
from skclipens.heads import (
    CLAPHead,
    CrossModalHead,
    GDAHead,
    KernelHead,
    LinearDiscriminantHead,
    LinearProbeHead,
    ResidualHead,
    TipAdapterHead,
)

BACKBONE = "zoo/RN20"
HEADS = [
    CLAPHead(BACKBONE),
    CrossModalHead(BACKBONE),
    GDAHead(BACKBONE),
    KernelHead([(BACKBONE, slice(None))]),
    LinearDiscriminantHead(),
    LinearDiscriminantHead(shrinkage=3.0),
    LinearProbeHead(),
    ResidualHead(BACKBONE),
    TipAdapterHead(BACKBONE),
]
every_head = pytest.mark.parametrize("head", HEADS, ids=repr)


@pytest.fixture(scope="module")
def emoji():
    """Embeddings of 40 pictures of 5 classes, and the names of these."""
    data = load_emoji(as_frame=True).frame.groupby("label").head(8).head(40)
    X = CLIPEmbedder(BACKBONE).fit_transform(data["path"]).astype(float)
    return X, data["label"].to_numpy()


@every_head
def test_copies_are_one_row_with_their_weight(head, emoji):
    X, y = emoji
    counts = np.random.default_rng(0).integers(1, 4, len(y))
    rows = np.repeat(np.arange(len(y)), counts)
    copied, weighted = clone(head), clone(head)
    logits, known = copied.cross_fit(X[rows], y[rows])
    expected, expected_known = weighted.cross_fit(X, y, sample_weight=counts)
    assert_array_equal(known, expected_known[rows])
    assert_allclose(logits, expected[rows], rtol=1e-3, atol=1e-3)
    assert_allclose(copied.decision_function(X), weighted.decision_function(X), atol=1e-3)
    fitted = clone(head).fit(X[rows], y[rows])
    assert_allclose(fitted.decision_function(X), copied.decision_function(X), atol=1e-6)


@every_head
def test_copies_count_as_several_rows_where_folds_or_groups_say_so(head, emoji):
    X, y = emoji
    rows = np.arange(len(y)).repeat(2)
    noise = np.random.default_rng(0).permutation(y)[rows]
    apart = [(np.arange(i, 80, 2), np.arange(1 - i, 80, 2)) for i in (0, 1)]

    def seem_right(**given):
        logits, known = clone(head).cross_fit(X[rows], noise, **given)
        return np.mean((np.unique(noise)[logits.argmax(axis=1)] == noise)[known])

    for given in ({"folds": apart}, {"groups": np.arange(80)}):
        assert seem_right(**given) > seem_right() + 0.1  # each row's copy vouches for it


@every_head
def test_folds_are_positions_or_masks(head, emoji):
    X, y = emoji
    positions = list(StratifiedKFold(3).split(X, y))
    masks = [[np.isin(np.arange(len(y)), side) for side in fold] for fold in positions]
    expected = clone(head).cross_fit(X, y, folds=positions)
    for of_masks, of_positions in zip(clone(head).cross_fit(X, y, folds=masks), expected):
        assert_array_equal(of_masks, of_positions)


@every_head
def test_folds_that_cannot_judge_are_refused_and_the_head_stays_as_it_was(head, emoji):
    X, y = emoji
    head = clone(head).fit(X[:32], y[:32])
    before = head.decision_function(X)
    every = np.arange(len(y))
    with pytest.raises(ValueError, match="Fold 0 of folds has 40 of its test rows in train"):
        head.cross_fit(X, y, folds=[(every, every)])
    with pytest.raises(ValueError, match="Fold 1 of folds does not fit X, which has 40 rows"):
        head.cross_fit(X, y, folds=[(every[8:], every[:8]), (every[:8], every[8:] + 1)])
    with pytest.raises(ValueError, match="groups has shape"):
        head.cross_fit(X, y, groups=every[:5])
    assert_array_equal(head.decision_function(X), before)


@pytest.mark.parametrize("head", [LinearDiscriminantHead(), LinearProbeHead()], ids=repr)
def test_folds_of_a_user_count_all_rows(head, emoji):
    X, y = emoji
    rows = np.arange(len(y)).repeat(2)
    folds = list(StratifiedKFold(4).split(rows, y[rows]))
    for cv in (folds, StratifiedKFold(4)):
        logits, known = clone(head).set_params(cv=cv).cross_fit(X[rows], y[rows])
        expected, _ = clone(head).cross_fit(X[rows], y[rows], folds=folds)
        assert known.all()
        assert_allclose(logits, expected, atol=1e-6)


def test_rows_without_weight_are_no_company():
    X = np.random.default_rng(0).standard_normal((10, 40))
    y, weights = np.repeat(["a", "b", "c"], [4, 3, 3]), np.ones(10)
    weights[1:4] = 0  # of "a" there is one row
    for head in (LinearDiscriminantHead(), KernelHead()):
        _, known = head.cross_fit(X, y, sample_weight=weights)
        assert_array_equal(known, np.arange(10) > 3)
