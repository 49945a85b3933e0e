"""What heads share that know what they would say without a row: copies, folds, failed fits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import KFold, StratifiedKFold

from skclipens import CLIPEmbedder
from skclipens.datasets import load_emoji
from skclipens.heads import (
    CLAPHead,
    CrossModalHead,
    ForestHead,
    GDAHead,
    KernelHead,
    LinearDiscriminantHead,
    LinearProbeHead,
    LogisticDiscriminantHead,
    ResidualHead,
    TipAdapterHead,
)

BACKBONE = "zoo/RN20"
FOREST = ForestHead(n_estimators=20, random_state=0)
HEADS = [
    CLAPHead(BACKBONE),
    CrossModalHead(BACKBONE),
    FOREST,
    GDAHead(BACKBONE),
    KernelHead([(BACKBONE, slice(None))]),
    LinearDiscriminantHead(),
    LinearDiscriminantHead(shrinkage=3.0),
    LinearProbeHead(cv=2),
    LogisticDiscriminantHead(),
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
    logits, valid = copied.cross_fit(X[rows], y[rows])
    expected, expected_valid = weighted.cross_fit(X, y, sample_weight=counts)
    assert_array_equal(valid, expected_valid[rows])
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
        logits, valid = clone(head).cross_fit(X[rows], noise, **given)
        return np.mean((np.unique(noise)[logits.argmax(axis=1)] == noise)[valid])

    for given in ({"folds": apart}, {"groups": np.arange(80)}):
        if isinstance(head, ForestHead) and "folds" in given:  # it would know all by heart
            assert not clone(head).cross_fit(X[rows], noise, **given)[1].any()
        else:
            assert seem_right(**given) > seem_right() + 0.1  # each row's copy vouches for it


@every_head
def test_a_fit_keeps_groups_together_as_a_cross_fit_does(head, emoji):
    X, y = emoji
    rng, objects = np.random.default_rng(0), np.arange(40).repeat(2)
    pictures = X[objects] + rng.normal(0, 0.002, (80, X.shape[1]))
    # A discriminant chooses the same for labels that mean nothing.
    labels = (y if isinstance(head, LinearDiscriminantHead) else rng.permutation(y))[objects]
    expected = clone(head)
    expected.cross_fit(pictures, labels, groups=objects)
    fitted = clone(head).fit(pictures, labels, groups=objects)
    assert_allclose(fitted.decision_function(X), expected.decision_function(X), atol=1e-6)
    plain = clone(head).fit(pictures, labels).decision_function(X)
    if not (isinstance(head, ForestHead) or getattr(head, "shrinkage", None) == 3.0):
        assert not np.allclose(fitted.decision_function(X), plain, rtol=0.05)


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
    for folds in (4, StratifiedKFold(4)):
        with pytest.raises(ValueError, match=r"folds is a list of pairs .* list\(splitter\.split"):
            head.cross_fit(X, y, folds=folds)
    with pytest.raises(ValueError, match="groups has shape"):
        head.cross_fit(X, y, groups=every[:5])
    assert_array_equal(head.decision_function(X), before)


@pytest.mark.parametrize(
    "head", [LinearDiscriminantHead(), LinearProbeHead(), LogisticDiscriminantHead()], ids=repr
)
def test_folds_of_a_user_count_all_rows(head, emoji):
    X, y = emoji
    rows = np.arange(len(y)).repeat(2)
    folds = list(StratifiedKFold(4).split(rows, y[rows]))
    for cv in (folds, StratifiedKFold(4)):
        logits, valid = clone(head).set_params(cv=cv).cross_fit(X[rows], y[rows])
        expected, _ = clone(head).cross_fit(X[rows], y[rows], folds=folds)
        assert valid.all()
        assert_allclose(logits, expected, atol=1e-6)


@every_head
@pytest.mark.parametrize("given", ["nothing", "groups", "folds"])
def test_rows_without_weight_are_as_if_they_were_not_there(head, given, emoji):
    X, y = emoji
    some = np.arange(len(y)) % 8 < 3 + np.arange(len(y)) // 20  # three or four of each class
    of_all, of_some = {}, {}
    if given == "groups":
        of_all = {"groups": np.arange(len(y)) // 2}
        of_some = {"groups": of_all["groups"][some]}
    if given == "folds":
        masks = [(np.arange(len(y)) % 2 == k, np.arange(len(y)) % 2 != k) for k in (0, 1)]
        of_all = {"folds": masks}
        of_some = {"folds": [[side[some] for side in fold] for fold in masks]}
    weighted, without = clone(head), clone(head)
    logits, valid = weighted.cross_fit(X, y, sample_weight=some.astype(float), **of_all)
    expected, expected_valid = without.cross_fit(X[some], y[some], **of_some)
    assert_array_equal(valid[some], expected_valid)
    assert_allclose(logits[some], expected, rtol=1e-6, atol=1e-6)
    assert not valid[~some].any() and not logits[~some].any()
    assert_allclose(weighted.decision_function(X), without.decision_function(X), atol=1e-6)


@every_head
def test_rows_of_next_to_no_weight_hardly_count(head, emoji):
    """Nor do their labels, which are wrong. Rows without weight are left out, and so show less."""
    X, (classes, positions) = emoji[0], np.unique(emoji[1], return_inverse=True)
    y = np.roll(classes, 1)[positions]  # which prompts do not know
    rng = np.random.default_rng(0)
    table, labels = (np.concatenate([one, rng.permutation(one)]) for one in (X, y))
    folds = list(StratifiedKFold(4, shuffle=True, random_state=0).split(table, labels))
    weighted, without = clone(head), clone(head)
    logits, valid = weighted.cross_fit(
        table, labels, sample_weight=np.repeat([1, 1e-6], 40), folds=folds
    )
    kept = [[side[side < 40] for side in fold] for fold in folds]
    expected, expected_valid = without.cross_fit(X, y, folds=kept)
    assert_array_equal(valid[:40], expected_valid)
    near = {"rtol": 1e-3, "atol": 0.01}
    if isinstance(head, CrossModalHead):  # its training ends before the minimum
        near["atol"] = 0.2
    assert_allclose(weighted.decision_function(X), without.decision_function(X), **near)
    if not isinstance(head, ForestHead):  # other trees hold out a row if there are more rows
        assert_allclose(logits[:40], expected, **near)


@every_head
def test_rows_without_weight_judge_no_setting(head, emoji):
    """With one row of weight for each class, none can: a cross-validation has no rows to teach."""
    X, y = emoji
    some = np.arange(len(y)) % 8 == 0
    weighted = clone(head).fit(X, y, sample_weight=some)
    without = clone(head).fit(X[some], y[some])
    assert_allclose(weighted.decision_function(X), without.decision_function(X), atol=1e-6)


@pytest.mark.parametrize("cv", [list(StratifiedKFold(4).split(range(40), [0, 1] * 20)), KFold(4)])
@pytest.mark.parametrize(
    "head", [LinearDiscriminantHead(), LinearProbeHead(), LogisticDiscriminantHead()], ids=repr
)
def test_splits_of_a_head_count_rows_without_weight(head, cv, emoji):
    X, y = emoji
    y = np.array(["a", "b"])[np.arange(40) % 2]
    some = np.arange(40) % 3 > 0
    position = np.cumsum(some) - 1
    splits = cv if isinstance(cv, list) else cv.split(X)
    kept = [[position[side[some[side]]] for side in fold] for fold in splits]
    logits, valid = clone(head).set_params(cv=cv).cross_fit(X, y, sample_weight=some)
    expected, _ = clone(head).cross_fit(X[some], y[some], folds=kept)
    assert_array_equal(valid, some)
    assert_allclose(logits[some], expected, atol=1e-6)


@every_head
def test_weights_that_sum_to_one_are_shares(head, emoji):
    """As in boosting: they were a single row."""
    X, y = emoji
    shares = np.full(len(y), 1 / len(y))
    found, expected = clone(head).fit(X, y, sample_weight=shares), clone(head).fit(X, y)
    assert_allclose(found.decision_function(X), expected.decision_function(X), atol=1e-4)


NO_PROMPTS = [
    LinearDiscriminantHead(),
    LinearProbeHead(),
    LogisticDiscriminantHead(),
    KernelHead(),
    FOREST,
]


@pytest.mark.parametrize("head", NO_PROMPTS, ids=repr)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_rows_of_a_class_that_a_fold_does_not_teach_judge_nothing(head, place, emoji):
    X, y = emoji
    gone = y == np.unique(y)[place]
    fold_of = np.where(gone, 0, np.arange(len(y)) % 3)
    folds = [(np.flatnonzero(fold_of != k), np.flatnonzero(fold_of == k)) for k in range(3)]
    found, expected = clone(head), clone(head)
    logits, valid = found.cross_fit(X, y, folds=folds)
    assert_array_equal(valid, ~gone)
    others = [(train, test[~gone[test]]) for train, test in folds]
    assert_array_equal(expected.cross_fit(X, y, folds=others)[0], logits)
    assert_array_equal(found.decision_function(X), expected.decision_function(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_class_that_a_fold_does_not_show_is_the_least_likely_one_and_no_less(dtype, emoji):
    """It had the logarithm of the smallest number, which counted in temperatures."""
    X, y = emoji
    gone = y == y[-1]
    fold_of = np.where(gone, 0, np.arange(len(y)) % 3)
    folds = [(np.flatnonzero(fold_of != k), np.flatnonzero(fold_of == k)) for k in range(3)]
    logits, _ = LinearDiscriminantHead().cross_fit(X.astype(dtype), y, folds=folds)
    of_fold = logits[(fold_of == 0) & ~gone]
    column = np.flatnonzero(np.unique(y) == y[-1])
    rest = np.delete(of_fold, column, axis=1)
    assert_array_equal(of_fold[:, column[0]], rest.min(axis=1))


def test_rows_without_weight_are_no_company():
    X = np.random.default_rng(0).standard_normal((10, 40))
    y, weights = np.repeat(["a", "b", "c"], [4, 3, 3]), np.ones(10)
    weights[1:4] = 0  # of "a" there is one row
    for head in (LinearDiscriminantHead(), KernelHead()):
        _, valid = head.cross_fit(X, y, sample_weight=weights)
        assert_array_equal(valid, np.arange(10) > 3)
