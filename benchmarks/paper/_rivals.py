"""What the package has to beat: other libraries' classifiers on the same embeddings."""

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    StratifiedShuffleSplit,
    train_test_split,
)
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import SVC
from sklearn.utils.validation import validate_data

LOGISTIC = "LogisticRegression, C=10"
SEARCHED = "LogisticRegression, C searched"
KERNEL = "SVC, searched"
RIVALS = (
    LOGISTIC,
    SEARCHED,
    KERNEL,
    "NearestCentroid, all columns",
    "VotingClassifier, soft",
    "KNORA-E (DESlib)",
    "StackingClassifier",
)
# No package index has their weights: the packages download them from a model hub.
NOT_TRIED = {
    "TabICL": "tabicl 2.2.0 has no weights in its wheel, it downloads them from a model hub",
    "TabPFN": "tabpfn 9.2.0 has no weights in its wheel, it downloads them from a model hub",
}
NOTE = """\
Rivals see all columns. "Searched": by accuracy on stratified folds of the training rows, three or
as many as the smallest class has rows; of more than 3,000 rows, one part of 2,000 to fit and 1,000
to judge. At one shot there are no folds: there C = 10 is fixed, and gamma = 1 of the SVC. Grids:
C in 0.1, 1, 10, 100, 1000 for logistic regression; C in 1, 10, 100 and gamma in 0.125, 0.25, 0.5,
1, 2 for the SVC, on rows of unit length. StackingClassifier has logistic regressions (C = 10) on
each backbone and a final one whose C is searched. KNORA-E has the same pool, fitted on half of the
rows, and selects by the other half, which costs it much at few shots. Stacking and KNORA-E need two
rows of each class."""

_N_FOLDS = 3
_LARGE, _PARTS = 3000, (2000, 1000)


class NotAvailableError(Exception):
    """A rival that cannot be fitted on these rows or in this environment; says why."""


def make(name, blocks, y):
    """A rival, not fitted.

    Parameters
    ----------
    name : str
        One of ``RIVALS``.
    blocks : list of (str, ndarray)
        Columns of each backbone.
    y : ndarray of shape (n,)
        Labels of the training rows.

    Raises
    ------
    NotAvailableError
        If there are too few rows, or DESlib is not installed.
    """
    parts = [(block, _on_block(block, columns)) for block, columns in blocks]
    if name == LOGISTIC:
        return _logistic()
    if name == SEARCHED:
        return _searched_logistic(y)
    if name == KERNEL:
        grid = {"svc__C": [1, 10, 100], "svc__gamma": [0.125, 0.25, 0.5, 1, 2]}
        return _searched(make_pipeline(Normalizer(), SVC(C=10, gamma=1)), grid, y)
    if name == "NearestCentroid, all columns":
        return NearestCentroid()
    if name == "VotingClassifier, soft":
        return VotingClassifier(parts, voting="soft")
    if _smallest(y) < 2:
        raise NotAvailableError("it holds rows out: it needs two of each class")
    if name == "KNORA-E (DESlib)":
        return KnoraE([part for _, part in parts])
    final, folds = _searched_logistic(y), min(_N_FOLDS, _smallest(y))
    return StackingClassifier(parts, final_estimator=final, cv=folds)


def _smallest(y):
    return int(np.unique(y, return_counts=True)[1].min())


def _logistic():
    return LogisticRegression(C=10.0, max_iter=1000)


def _searched_logistic(y):
    return _searched(_logistic(), {"C": [0.1, 1, 10, 100, 1000]}, y)


def _searched(estimator, grid, y):
    """A search on the folds that these labels allow; without any, the estimator as it is."""
    smallest = _smallest(y)
    if smallest < 2:
        return estimator
    if len(y) > _LARGE:
        train, test = _PARTS
        folds = StratifiedShuffleSplit(1, train_size=train, test_size=test, random_state=0)
    else:
        folds = StratifiedKFold(min(_N_FOLDS, smallest), shuffle=True, random_state=0)
    return GridSearchCV(estimator, grid, cv=folds)


def _on_block(name, columns):
    return make_pipeline(ColumnTransformer([(name, "passthrough", columns)]), _logistic())


class KnoraE:
    """KNORA-E over a pool of classifiers, fitted on half of the rows; it selects by the others.

    DESlib 0.3.7 calls ``BaseEstimator._validate_data``, a method that scikit-learn no longer has;
    a subclass gives it the function that took its place.
    """

    def __init__(self, pool):
        self.pool = pool

    def fit(self, X, y):
        try:
            from deslib.des.knora_e import KNORAE
        except ImportError as error:
            raise NotAvailableError(f"DESlib cannot be imported: {error}") from error

        class Compatible(KNORAE):
            def _validate_data(self, X, y=None, **options):
                return validate_data(self, X, y, **options)

        X, selecting, y, of_selecting = train_test_split(
            X, y, test_size=0.5, stratify=y, random_state=0
        )
        pool = [member.fit(X, y) for member in self.pool]
        n_neighbours = min(7, len(of_selecting))
        self.rule_ = Compatible(pool, k=n_neighbours, random_state=0).fit(selecting, of_selecting)
        self.classes_ = self.rule_.classes_
        return self

    def predict(self, X):
        return self.rule_.predict(X)
