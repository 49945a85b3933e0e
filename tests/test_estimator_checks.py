"""Tests of the checks for heads and routers of one's own."""

import numpy as np
import pytest
from _said import no_warning
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.semi_supervised import LabelPropagation

from skclipens import ResidualHead
from skclipens.ensemble import StaticRouter
from skclipens.ensemble.routers import ROUTERS
from skclipens.utils.estimator_checks import check_head, check_router

TWO_ROWS = r"must fit 4 rows of 4 classes, one row of each, as in a few-shot set; ValueError: "


@pytest.mark.usefixtures("short_training")
@pytest.mark.parametrize("name", ROUTERS)
def test_routers_of_the_package_pass(name):
    check_router(ROUTERS[name])


@pytest.mark.parametrize("head", [RandomForestClassifier(10), LabelPropagation()], ids=repr)
def test_heads_that_draw_rows_or_are_rounded_otherwise_pass(head):
    check_head(head)


class Weighs(GaussianNB):
    """Takes weights of 1 for something else."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(X if sample_weight is None else 2 * X, y)


class NoClasses(BaseEstimator):
    """Knows no labels."""

    def fit(self, X, y):
        return self

    def decision_function(self, X):
        return np.zeros((len(X), 4))


class NoParameters:
    """Cannot be cloned."""

    fit, decision_function = NoClasses.fit, NoClasses.decision_function


class NoMask(GaussianNB):
    """Gives logits of held-out rows without those that are known."""

    def cross_fit(self, X, y, folds=None):
        return self.fit(X, y).predict_log_proba(X)


class GivesScores(GaussianNB):
    """Gives logits in place of probabilities."""

    def predict_proba(self, X):
        return super().predict_log_proba(X)


class Leaks(GaussianNB):
    """Gives logits of rows that it has learned from as if they had been held out."""

    def cross_fit(self, X, y, folds=None):
        nearest = KNeighborsClassifier(1).fit(X, y)
        return self.fit(X, y) and nearest.predict_proba(X), np.ones(len(y), bool)


class Scales(GaussianNB):
    """Changes the rows that it is given."""

    def predict_proba(self, X):
        X *= 2
        return super().predict_proba(X)


class Fails(GaussianNB):
    """Cannot be cross-fitted."""

    def cross_fit(self, X, y, folds=None):
        raise KeyError("fold")


class LastExpert:
    """A router whose fit and rule can be replaced."""

    def fit(self, X, logits, y):
        return self

    def combine(self, X, logits):
        return logits[:, -1]


class Doubles(LastExpert):
    """Changes the logits that it is given."""

    def combine(self, X, logits):
        logits *= 2
        return logits[:, -1]


class Divides(LastExpert):
    """Fails with an error of its own."""

    def fit(self, X, logits, y):
        return 1 / 0


@pytest.mark.parametrize(
    ("check", "given", "message"),
    [
        (check_head, ResidualHead, r"ResidualHead must be an instance, not a class: add \(\)"),
        (check_router, StaticRouter, r"StaticRouter must be an instance, .* as StaticRouter\(\)"),
        (check_head, LinearDiscriminantAnalysis(), TWO_ROWS),
        (check_head, GridSearchCV(LogisticRegression(), {"C": [1, 10]}, cv=2), TWO_ROWS),
        (check_head, NoClasses(), "NoClasses must set classes_ to the sorted labels"),
        (check_head, NoParameters(), "NoParameters must have get_params, as of a BaseEstimator"),
        (check_head, Leaks(), "held-out logits that do not follow the labels of the rows that are"),
        (check_head, GivesScores(), "GivesScores.predict_proba gives row 0 .*name the method that"),
        (check_head, NoMask(), "NoMask must return logits and a mask of rows from cross_fit"),
        (check_head, object(), r"object must have fit\(X, y\)"),
        (check_head, Weighs(), "must take weights of 1 for no weights"),
        (
            check_head,
            KNeighborsClassifier(),
            "must score rows after a fit on 4 rows of 4 ",
        ),
        (check_head, Scales(), "Scales must leave X and y as they are"),
        (check_head, Fails(), "Fails must work in cross_fit, .*; KeyError: 'fold'"),
        (check_router, Doubles(), "Doubles must leave X, logits and y as they are"),
        (check_router, Divides(), "Divides must fit 60 rows of 4 classes; ZeroDivisionError"),
    ],
)
def test_the_requirement_that_is_not_met_is_named(check, given, message):
    with pytest.raises(AssertionError, match=message):
        check(given)


class Picky:
    """A router that cannot learn from few rows."""

    def fit(self, X, logits, y):
        if len(y) < 10:
            raise ValueError("too few rows")
        return self

    def combine(self, X, logits):
        return logits.mean(axis=1)


def test_a_router_that_fails_is_told_with_its_rows():
    with pytest.raises(AssertionError, match="Picky must fit 4 rows of 2 classes; ValueError: too"):
        check_router(Picky())


@pytest.mark.parametrize(
    ("check", "given"),
    [
        (check_head, ResidualHead("zoo/RN20")),
        (check_head, LogisticRegression()),
        (check_router, StaticRouter()),
    ],
)
def test_rows_of_the_checks_raise_no_doubts(check, given):
    with no_warning():
        check(given)
