"""Rows of fit among those to score: a score of them says nothing of new rows."""

import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
from _said import said
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score, permutation_test_score
from sklearn.multiclass import OneVsOneClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.semi_supervised import SelfTrainingClassifier

from skclipens import (
    AdaptiveBackboneEnsemble,
    BackboneSelector,
    CascadeEnsemble,
    MultiBackboneEmbedder,
    make_backbone_pipeline,
)
from skclipens.datasets import load_emoji
from skclipens.inspection import DiversityGainDisplay, ReliabilityDisplay
from skclipens.labels import OpenSetClassifier
from skclipens.pipeline import BackbonePipeline

pytestmark = pytest.mark.usefixtures("embedded_once")

BACKBONES = ["zoo/RN20", "zoo/ViT-8"]
MESSAGE = "rows of fit, or copies of their pictures"


@pytest.fixture(scope="module")
def emoji():
    """Files and labels of 120 pictures, no two alike, in a random order."""
    data = load_emoji(min_class_size=30)
    rows = np.random.default_rng(0).permutation(len(data.target))[:120]
    return np.array(data.filenames)[rows], data.target_names[data.target[rows]]


@pytest.fixture(scope="module")
def table(emoji):
    return MultiBackboneEmbedder(BACKBONES).fit_transform(list(emoji[0]))


@pytest.fixture(scope="module")
def fitted(table, emoji):
    return AdaptiveBackboneEnsemble(BACKBONES).fit(table[:60], emoji[1][:60])


def test_a_row_in_the_middle_of_others_raises_no_error_of_numbers(table, emoji):
    """What is remembered of rows has few digits; one that is near their mean is 0."""
    some = table[:59].astype(np.float64)
    rows = np.vstack([some, 1.00001 * np.unique(some, axis=0).mean(axis=0)])  # copies are merged
    expected = AdaptiveBackboneEnsemble(BACKBONES, head="linear").fit(rows, emoji[1][:60])
    with np.errstate(all="raise"):
        found = AdaptiveBackboneEnsemble(BACKBONES, head="linear").fit(rows, emoji[1][:60])
    np.testing.assert_array_equal(found.predict(table), expected.predict(table))


def doubts(call, *args):
    return [text for text in said(call, *args) if MESSAGE in text]


def test_rows_of_fit_are_told_from_others(fitted, table, emoji):
    y = emoji[1]
    some = np.arange(50, 120)
    right = fitted.predict(table) == y
    (text,) = doubts(fitted.score, table[some], y[some])
    assert text.startswith("10 of the 70 rows are rows of fit")
    assert f"{right[50:60].mean():.0%} of these are" in text
    assert f"{right[60:].mean():.0%} of the others" in text


@pytest.mark.parametrize(
    "rows", [slice(60), slice(3), slice(60, None), slice(58, None), slice(57, None), slice(58, 66)]
)
def test_a_score_of_fit_and_one_of_other_rows_are_no_mistakes(rows, fitted, table, emoji):
    assert not doubts(fitted.score, table[rows], emoji[1][rows])


def test_a_model_that_was_saved_still_knows_its_rows(fitted, table, emoji):
    again = pickle.loads(pickle.dumps(fitted))
    frame = np.asarray(table[40:80], dtype=float)
    assert doubts(again.score, frame.tolist(), emoji[1][40:80])


def test_a_second_fit_forgets_the_rows_of_the_first(table, emoji):
    y = emoji[1]
    clf = AdaptiveBackboneEnsemble(BACKBONES).fit(table[:60], y[:60]).fit(table[60:], y[60:])
    assert not doubts(clf.score, table[:60], y[:60])
    assert doubts(clf.score, table[40:], y[40:])
    clf.set_params(head="zero-shot", router="uniform", calibrate=False)
    clf.set_params(class_names=sorted(set(y))).fit(table)
    assert not doubts(clf.score, table[40:], y[40:])


def test_pictures_of_fit_are_told_by_a_pipeline_that_embeds_them_again(emoji):
    paths, y = emoji
    clf = make_backbone_pipeline(BACKBONES).fit(paths[:60], y[:60])
    for some in (slice(53, 70), [59, *range(60, 66), 3, 5]):  # batches of other sizes
        assert doubts(clf.score, paths[some], y[some])
    for Display in (DiversityGainDisplay, ReliabilityDisplay):
        assert len(doubts(Display.from_estimator, clf, paths[53:70], y[53:70])) == 1


def offers_of_products(table):
    """Return offers of 30 products, and the number of each offer's product."""
    rng = np.random.default_rng(0)
    names = MultiBackboneEmbedder(BACKBONES).fit([["a.png"]]).get_feature_names_out()
    product, price = rng.integers(0, 30, 300), rng.normal(size=300)
    return pd.DataFrame(table[product], columns=names).assign(price=price), product


@pytest.mark.parametrize("seed", range(3))
def test_products_with_several_labels_are_told_if_their_pictures_are_in_other_rows(table, seed):
    offers, product = offers_of_products(table)
    rng = np.random.default_rng(seed)
    levels = offers["price"] + 2 * (product % 2) + rng.normal(size=300)
    levels = np.where(levels > 1, "dear", "cheap")
    clf = AdaptiveBackboneEnsemble(random_state=0)
    assert not said(clf.fit, offers[:200], levels[:200])
    pictures, order = offers.columns[:-1], rng.permutation(300)
    in_other_rows = offers.assign(**offers.loc[order, pictures].reset_index(drop=True))
    (text,) = said(clf.fit, in_other_rows[:200], levels[:200])
    assert text.startswith("The pictures do not predict y")


def test_new_rows_of_known_pictures_are_no_rows_of_fit_if_labels_depend_on_other_columns(table):
    """Offers of products, which are cheap or dear: of one product, several are known."""
    offers, product = offers_of_products(table)
    rng, names, price = np.random.default_rng(1), offers.columns[:-1], offers["price"].to_numpy()
    levels = np.where(price + rng.normal(size=300) > 0, "dear", "cheap")
    clf = AdaptiveBackboneEnsemble(random_state=0).fit(offers[:200], levels[:200])
    assert not said(clf.score, offers[200:], levels[200:])
    (text,) = doubts(clf.score, offers[150:], levels[150:])
    assert text.startswith("50 of the 150 rows are rows of fit")
    assert not doubts(clf.score, offers[190:], levels[190:])  # less than a tenth
    heavy = offers.assign(weight=1e6 * product)  # beside which prices seem the same
    clf.fit(heavy[:200], levels[:200])
    assert not doubts(clf.score, heavy[200:], levels[200:])
    for constant in ({}, {"tax": 29.99}, {"tax": np.where(price > 0, 0.3, 0.1 + 0.2)}):
        taxed = heavy.assign(**constant)
        clf.fit(taxed[:200], levels[:200])
        assert not doubts(clf.score, taxed[200:], levels[200:])
        (text,) = doubts(clf.score, taxed[150:], levels[150:])
        assert text.startswith("50 of the 150 rows are rows of fit")
    of_products = np.array(["a", "b", "c"])[product % 3]
    clf.fit(offers[:200], of_products[:200])
    offers.loc[290:, names] = table[30:40]
    (text,) = doubts(clf.score, offers[200:], of_products[200:])
    assert text.startswith("90 of the 100")
    wrong = rng.permutation(200)[:6]  # which does not make labels depend on the price
    of_products[wrong] = of_products[(wrong + 1) % 200]
    clf.fit(offers[:200], of_products[:200])
    (text,) = doubts(clf.score, offers[200:], of_products[200:])
    assert text.startswith("90 of the 100")
    once = pd.DataFrame(table[:40], columns=names).assign(price=price[:40])
    once.loc[39, names] = once.loc[38, names]
    clf.fit(once, of_products[:40])
    later = once.assign(price=price[40:80])
    later.loc[20:, names] = table[60:80]
    (text,) = doubts(clf.score, later, of_products[:40])
    assert text.startswith("20 of the 40")


def test_offers_of_a_product_may_have_the_same_size_and_different_labels(table):
    offers, product = offers_of_products(table)
    rng = np.random.default_rng(2)
    offers["price"] = size = rng.integers(0, 20, 300)
    levels = np.where(size + 5 * rng.normal(size=300) > 10, "dear", "cheap")
    clf = AdaptiveBackboneEnsemble(random_state=0)
    assert not [text for text in said(clf.fit, offers[:200], levels[:200]) if "Rows" in text]
    assert offers.assign(product=product).duplicated(["product", "price"]).sum() > 50
    assert not doubts(clf.score, offers[200:], levels[200:])


def test_rows_that_were_repeated_before_the_split_are_told_beside_other_columns(table, emoji):
    offers, product = offers_of_products(table)
    rng = np.random.default_rng(3)
    levels = np.where(offers["price"] + rng.normal(size=300) > 0, "dear", "cheap")
    rows = rng.permutation(np.r_[np.arange(300), rng.choice(300, 150)])
    X, y = offers.iloc[rows], levels[rows]
    clf = AdaptiveBackboneEnsemble(random_state=0).fit(X[:225], y[:225])
    (text,) = doubts(clf.score, X[225:], y[225:])
    assert text.startswith(f"{np.isin(rows[225:], rows[:225]).sum()} of the 225 rows are rows of")


@pytest.mark.parametrize("outlier", [1e6, 1e10])
def test_an_outlier_does_not_make_other_rows_alike(outlier, table):
    offers, _ = offers_of_products(table)
    rng, price = np.random.default_rng(2), offers["price"].to_numpy()
    levels = np.where(price + rng.normal(size=300) > 0, "dear", "cheap")
    offers.loc[7, "price"] = outlier
    clf = AdaptiveBackboneEnsemble(random_state=0).fit(offers[:200], levels[:200])
    offers.loc[200:239, offers.columns[:-1]] = table[60:100]
    assert not doubts(clf.score, offers[200:], levels[200:])
    (text,) = doubts(clf.score, offers[150:], levels[150:])
    assert text.startswith("50 of the 150 rows are rows of fit")


@pytest.mark.parametrize("n_unweighted", [0, 30])
@pytest.mark.parametrize("Learner", [CascadeEnsemble, BackboneSelector, OpenSetClassifier])
def test_what_fits_on_folds_names_rows_as_they_were_given(Learner, n_unweighted, table, emoji):
    X, y = table.copy(), emoji[1].copy()
    one, another = np.flatnonzero(y == y[0])[-2:]
    X[another], y[another] = X[one], next(label for label in y if label != y[0])
    ensemble = VotingClassifier([("one", AdaptiveBackboneEnsemble(BACKBONES))], voting="soft")
    clf = Learner(ensemble if Learner is OpenSetClassifier else BACKBONES)
    weights = (np.arange(len(y)) >= n_unweighted).astype(float)
    texts = said(partial(clf.fit, X, y, sample_weight=weights))
    assert any(f"Rows {one} and {another} of X are the same" in text for text in texts)
    assert not any("Rows " in text and f"Rows {one} and {another}" not in text for text in texts)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_rows_of_a_fold_of_scikit_learn_are_told_from_those_of_all(n_jobs, table, emoji):
    """In another process, the fold's warnings are lost to the caller, but not those of all rows."""
    X, y = table.copy(), emoji[1].copy()
    one, another = np.flatnonzero(y == y[0])[-2:]
    X[another], y[another] = X[one], next(label for label in y if label != y[0])
    clf = AdaptiveBackboneEnsemble(BACKBONES, head="linear", random_state=0)
    search = GridSearchCV(clf, {"router": ["uniform"]}, cv=3, n_jobs=n_jobs)
    pipeline = BackbonePipeline([("same", FunctionTransformer()), ("search", search)])
    for learner in (search, pipeline):
        texts = [text for text in said(learner.fit, X, y) if text.startswith("Rows ")]
        assert texts[-1].startswith(f"Rows {one} and {another} of X") and "part" not in texts[-1]
        assert all(text.endswith("that scikit-learn passes.") for text in texts[:-1])
        assert len(texts) > 1 or n_jobs == 2
    for validate in (cross_val_score, partial(permutation_test_score, n_permutations=1)):
        texts = said(partial(validate, clf, X, y, cv=3))
        assert any("part of X" in text for text in texts)
        assert all("part of X" in text for text in texts if text.startswith("Rows "))
    without_weights = make_pipeline(FunctionTransformer(), clf)
    some = BaggingClassifier(without_weights, 2, bootstrap=False, max_samples=0.95, random_state=0)
    codes = np.unique(y, return_inverse=True)[1]
    codes[np.setdiff1d(np.arange(20), [one, another])] = -1
    for whole in (OneVsOneClassifier(clf), some, SelfTrainingClassifier(clf, max_iter=1)):
        texts = [text for text in said(whole.fit, X, codes) if text.startswith("Rows ")]
        assert texts and all("part of X" in text for text in texts)
    all_rows = BaggingClassifier(clf, 2, random_state=0)  # a sample is their weights
    texts = [text for text in said(all_rows.fit, X, y) if text.startswith("Rows ")]
    assert texts and not any("part of X" in text for text in texts)


def test_where_nothing_is_learned_from_rows_they_may_be_scored(table, emoji):
    clf = AdaptiveBackboneEnsemble(BACKBONES, head="zero-shot", router="static")
    clf.fit(table[:60], emoji[1][:60])
    assert not doubts(clf.score, table[40:], emoji[1][40:])


def test_rows_of_fit_are_told_where_all_pictures_are_alike(table, emoji):
    y = emoji[1]
    alike = table.mean(axis=0) + table * np.float32(0.001)
    clf = AdaptiveBackboneEnsemble(BACKBONES, head="linear").fit(alike[:60], y[:60])
    (text,) = doubts(clf.score, alike[50:], y[50:])
    assert text.startswith("10 of the 70 rows are")


def test_rows_of_fit_that_are_all_the_same_tell_nothing(table, emoji):
    y = emoji[1]
    clf = AdaptiveBackboneEnsemble(BACKBONES, head="linear").fit(table[[0] * 60], y[:60])
    assert not doubts(clf.score, table, y)


def test_rows_of_few_numbers_may_be_the_same_by_chance():
    X, y = load_iris(return_X_y=True)
    X = X.round()
    clf = AdaptiveBackboneEnsemble([("all", slice(0, 4))], head="linear").fit(X[::2], y[::2])
    assert not doubts(clf.score, X, y)
    assert not doubts(clone(clf).fit(X[::2], y[::2]).score, X[1::2], y[1::2])
