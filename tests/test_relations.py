"""What must not change an answer, or must change it in a known way: no reference is needed."""

import joblib
import numpy as np
import pandas as pd
import pytest
from _models import copy_of_zoo
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import load_file, save_file
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skclipens import AdaptiveBackboneEnsemble
from skclipens.cascade import BackboneSelector, CascadeEnsemble
from skclipens.ensemble import GatedRouter
from skclipens.ensemble.routers import ROUTERS

BACKBONES = ["zoo/RN20", "zoo/ViT-16"]
CLOSE = {"rtol": 1e-3, "atol": 1e-4}
HEADS = [
    "auto",
    "tip-adapter",
    ["zero-shot", "gda", "linear"],
    ["residual", LogisticRegression(C=10)],
]

pytestmark = pytest.mark.usefixtures("short_training")
every_head = pytest.mark.parametrize("head", HEADS, ids=str)


@pytest.fixture(scope="module")
def split(frame, y):
    """Rows to fit on, in no order, and others."""
    rows = np.random.default_rng(0).permutation(len(y))
    return frame.iloc[rows[:24]], y[rows[:24]], frame.iloc[rows[24:]]


def make(**parameters):
    return AdaptiveBackboneEnsemble(BACKBONES, **{"random_state": 0, **parameters})


def folds_of(y, order=None):
    """Two folds, where rows stand in another order."""
    place = np.argsort(np.arange(len(y)) if order is None else order)
    splits = StratifiedKFold(2).split(y, y)
    return [(np.sort(place[train]), np.sort(place[test])) for train, test in splits]


# The order of rows, blocks, heads, and the names of classes


@every_head
def test_rows_may_stand_in_any_order(head, split):
    X, y, new = split
    order = np.random.default_rng(1).permutation(len(y))
    clf = make(head=head, router="static", cv=folds_of(y)).fit(X, y)
    other = clone(clf).set_params(cv=folds_of(y, order)).fit(X.iloc[order], y[order])
    # Heads that correct prompts have folds of their own where cv binds what judges them alone.
    assert_allclose(other.predict_proba(new), clf.predict_proba(new), **CLOSE)


@every_head
def test_names_of_classes_are_names(head, split):
    """Also in another order, and as numbers."""
    X, y, new = split
    clf = make(head=head).fit(X, y)
    for labels in (["d", "c", "a", "b"], [7, -3, 0, 2]):
        names = dict(zip(labels, clf.classes_, strict=True))
        renamed = np.array(labels)[np.searchsorted(clf.classes_, y)]
        other = make(head=head, class_names=names).fit(X, renamed)
        assert_array_equal([names[label] for label in other.predict(new)], clf.predict(new))
        columns = np.searchsorted(other.classes_, labels)
        assert_allclose(other.predict_proba(new)[:, columns], clf.predict_proba(new), **CLOSE)


def test_names_of_classes_do_not_decide_which_rows_choose_the_strength():
    X, y = load_digits(return_X_y=True)
    some = np.flatnonzero(np.isin(y, (3, 8, 9)))
    X, y = X[some] + np.random.default_rng(0).normal(size=(len(some), 64)) * 6, y[some]
    clf, other = AdaptiveBackboneEnsemble(random_state=0), AdaptiveBackboneEnsemble(random_state=0)
    p = clf.fit(X[:330], y[:330]).predict_proba(X[330:])
    assert clf.experts_[0].head.C_ > 0
    np.testing.assert_allclose(p, other.fit(X[:330], -y[:330]).predict_proba(X[330:])[:, ::-1])


@pytest.mark.parametrize("model", [AdaptiveBackboneEnsemble(head="linear"), CascadeEnsemble()])
def test_names_of_classes_do_not_decide_which_rows_are_held_out(model):
    X, y = load_wine(return_X_y=True)
    X = scale(X) + np.random.default_rng(0).normal(size=X.shape) * 2
    model.set_params(cv=0.2, random_state=0)
    proba = clone(model).fit(X[::2], y[::2]).predict_proba(X[1::2])
    other = clone(model).fit(X[::2], 9 - y[::2]).predict_proba(X[1::2])
    assert_allclose(other[:, ::-1], proba, **CLOSE)


def test_a_class_that_a_fraction_cannot_hold_out_is_named():
    X = np.random.default_rng(0).normal(size=(21, 4))
    y = np.array(["cat"] * 10 + ["dog"] * 10 + ["fox"])
    for labels in (y, y.astype(object)):
        with pytest.raises(ValueError, match=r"every class: the class 'fox' has one row"):
            make(head="linear", cv=0.3).set_params(blocks=None).fit(X, labels)


def test_labels_may_be_objects(split):
    X, y, _ = split
    numbers = np.unique(y, return_inverse=True)[1] + 1
    clf = make(head="linear").fit(X, numbers)
    objects = numbers.astype(object)
    assert clf.score(X, objects) == clf.score(X, pd.Series(objects)) == clf.score(X, numbers)
    some = [one > 2 for one in numbers.astype(np.int64)]
    clf = make(head="linear", unlabeled="ignore").fit(X, [*some[:-1], None])
    assert clf.classes_.tolist() == [False, True]


@pytest.mark.parametrize("of", ["classes", "groups"])
def test_names_do_not_decide_which_groups_are_held_out(of):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X, y, groups = rng.normal(size=(40, 2)), rng.integers(5, size=40), rng.integers(15, size=40)
        clf = AdaptiveBackboneEnsemble(head=GaussianNB(), random_state=0).fit(X, y, groups=groups)
        names = rng.permutation(15)
        y, groups = (names[y], groups) if of == "classes" else (y, names[groups])
        other = clone(clf).fit(X, y, groups=groups)
        # It is fitted on what is held out.
        assert_allclose(other.temperatures_, clf.temperatures_, rtol=1e-4)


@pytest.mark.parametrize("router", sorted(ROUTERS.keys() - {"nlc", "mixture", "genetic"}))
def test_blocks_and_heads_may_stand_in_any_order(router, split):
    """But for routers that draw numbers for each column or expert."""
    X, y, new = split
    heads = ["zero-shot", "linear", "kernel", "kernel-all"]
    clf = make(head=heads, router=router).fit(X, y)
    columns = [*X.columns[128:], *X.columns[:128]]
    other = make(head=heads[::-1], router=router).set_params(blocks=BACKBONES[::-1])
    other.fit(X[columns].to_numpy(), y)
    assert_allclose(other.predict_proba(new[columns].to_numpy()), clf.predict_proba(new), **CLOSE)


@pytest.mark.parametrize("router", ["shrunk", "confidence", "vote-3", "super-learner"])
@every_head
def test_lengths_of_embeddings_do_not_matter(head, router, split):
    if head == HEADS[3]:
        pytest.skip("a logistic regression minds the scale")
    X, y, new = split
    clf, other = make(head=head, router=router).fit(X, y), make(head=head, router=router)
    other.fit(X * 50, y)
    assert_allclose(other.predict_proba(new * 50), clf.predict_proba(new), **CLOSE)


# A class that is in one fold alone


@pytest.mark.parametrize("head", ["linear", "gda", "linear-probe", LogisticRegression(C=10)])
def test_a_class_of_one_group_is_judged_alike_in_both_precisions(head, split):
    """A discriminant gave such a class the logarithm of the smallest number as a logit."""
    X, y, new = split
    groups = np.where(y == y[0], 0, 1 + np.arange(len(y)) // 2)
    single = make(head=head, router="static").fit(X, y, groups=groups)
    double = clone(single).fit(X.astype(np.float64), y, groups=groups)
    assert_allclose(single.temperatures_, double.temperatures_, rtol=1e-2)
    proba = double.predict_proba(new.astype(np.float64))
    assert_allclose(single.predict_proba(new), proba, atol=1e-3)


# Shares, of which the number of rows is no matter


def test_a_cascade_and_a_selector_hand_shares_to_folds(split):
    X, y, _ = split
    shares = np.full(len(y), 1 / len(y))
    inner = AdaptiveBackboneEnsemble(head="linear", router="static", random_state=0)
    options = {"estimator": inner, "cv": 2, "random_state": 0}
    plain, shared = (
        CascadeEnsemble(BACKBONES, **options).fit(X, y, sample_weight=one) for one in (None, shares)
    )
    assert_allclose(shared.thresholds_, plain.thresholds_, rtol=1e-4)
    plain, shared = (
        BackboneSelector(BACKBONES, **options).fit(X, y, sample_weight=one)
        for one in (None, shares)
    )
    assert_allclose(shared.path_["score"], plain.path_["score"], rtol=1e-4)


# Settings of scikit-learn, threads and memory


def test_threads_have_the_settings_of_the_caller(split):
    """A head that is a pipeline asks for weights where metadata routing is enabled alone."""
    X, y, new = split
    weights = np.random.default_rng(0).uniform(0.2, 1.8, len(y))
    with config_context(enable_metadata_routing=True):
        head = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False),
            LogisticRegression(C=0.01).set_fit_request(sample_weight=True),
        )
        clf = make(head=head, router="static", cv=3)
        expected = clone(clf).fit(X, y, sample_weight=weights)
        with joblib.parallel_config("threading"):
            found = clf.set_params(n_jobs=2).fit(X, y, sample_weight=weights)
        assert_array_equal(found.temperatures_, expected.temperatures_)
        assert_array_equal(found.predict_proba(new), expected.predict_proba(new))
        cascade = CascadeEnsemble(BACKBONES, estimator=head, cv=2, random_state=0)
        expected = clone(cascade).fit(X, y, sample_weight=weights)
        with joblib.parallel_config("threading"):
            found = cascade.set_params(n_jobs=2).fit(X, y, sample_weight=weights)
        assert_array_equal(found.thresholds_, expected.thresholds_)


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_gates_read_arrays_whatever_transformers_give(output, split):
    pytest.importorskip(output)
    X, y, new = split
    clf = make(head="zero-shot", router=GatedRouter())
    expected = clone(clf).fit(X, y).predict_proba(new)
    with config_context(transform_output=output):
        assert_array_equal(clf.fit(X, y).predict_proba(new), expected)


def test_memory_does_not_take_other_weights_for_those_of_before(split, tmp_path):
    X, y, new = (one.iloc[:, :128].to_numpy() if one.ndim == 2 else one for one in split)
    folder = copy_of_zoo("RN20", tmp_path / "model")
    clf = AdaptiveBackboneEnsemble([str(folder)], head="zero-shot", router="static")
    keeps = clone(clf).set_params(memory=str(tmp_path / "memory")).fit(X, y)
    before = keeps.predict_proba(new)
    assert_array_equal(keeps.fit(X, y).predict_proba(new), before)
    weights = load_file(folder / "open_clip_model.safetensors")
    turned = np.ascontiguousarray(weights["text.text_projection"][:, ::-1])
    save_file({**weights, "text.text_projection": turned}, folder / "open_clip_model.safetensors")
    after = keeps.fit(X, y).predict_proba(new)
    assert_array_equal(after, clone(clf).fit(X, y).predict_proba(new))
    assert not np.allclose(after, before)
