"""Rivals: other libraries' classifiers on the same embeddings."""

from functools import partial

import numpy as np
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    StratifiedShuffleSplit,
    cross_val_predict,
)
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import SVC
from sklearn.utils.validation import validate_data

from skclipens.model_selection._compare_logistic import SearchedLogisticRegression, average

LOGISTIC = "LogisticRegression, C=10"
SEARCHED = "LogisticRegression, C searched"
SEARCHED_ON_ALL = "LogisticRegression, C searched, pooled features too"
WITH_PROMPTS = "LogisticRegression and prompts, averaged"
KERNEL = "SVC, searched"
RIVALS = (
    LOGISTIC,
    SEARCHED,
    SEARCHED_ON_ALL,
    WITH_PROMPTS,
    KERNEL,
    "NearestCentroid, all columns",
    "VotingClassifier, soft",
    "KNORA-E (DESlib)",
    "StackingClassifier",
)
FEATURES = {SEARCHED_ON_ALL: "both", WITH_PROMPTS: "both"}  # others read the image embeddings alone
# No package index has their weights: the packages download them from a model hub.
NOT_TRIED = {
    "TabICL": "tabicl 2.2.0 has no weights in its wheel, it downloads them from a model hub",
    "TabPFN": "tabpfn 9.2.0 has no weights in its wheel, it downloads them from a model hub",
}
NOTE = """\
Rivals see the image embeddings of all backbones; logistic regression also with pooled features
beside them, as the default does. "And prompts, averaged": the average of the probabilities of a
regression on all these columns and of those of zero-shot heads, which are the softmax of the mean
of the logits of all backbones; C and the share of the regression, 0, 0.25, 0.5, 0.75 or 1, have the
least log-loss on the folds, and are 10 and 0.5 at one shot. "Searched": by accuracy on stratified
folds of the training rows, three or as many as the smallest class has rows; of more than 1,500
rows, on one third of them (1,000 at most), by what two thirds teach (2,000 at most). The SVC, which
has a machine for each pair of classes, is searched so from 600 rows on (on 400 at most, by what 800
at most teach), and then fitted on all. At one shot there are no folds: there C = 10 is fixed, and
gamma = 0.5 of the SVC. Grids: C in 0.1, 1, 10, 100, 1000 for logistic regression; C in 1, 10, 100
and gamma in 0.03, 0.125, 0.5, 2 for the SVC, on rows of unit length. StackingClassifier has
logistic regressions (C = 10) on each block of columns and a final one whose C is searched. KNORA-E
has the same pool, and selects by what copies of it say of rows that they were not fitted on.
Stacking and KNORA-E need two rows of each class."""

_N_FOLDS = 3
_FEW, _FEW_OF_SVC = 1500, 600  # rows that are searched in folds


class NotAvailableError(Exception):
    """Error for a rival that cannot be fitted here; the message gives the reason."""


def make(name, blocks, y, prompts=None):
    """Return an unfitted rival.

    Parameters
    ----------
    name : str
        One of ``RIVALS``.
    blocks : list of (str, ndarray)
        Columns of each backbone.
    y : ndarray of shape (n,)
        Labels of the training rows.
    prompts : classifier, default=None
        Zero-shot heads of all backbones, which only "and prompts" needs.

    Raises
    ------
    NotAvailableError
        If there are too few rows, or DESlib is not installed.
    """
    parts = [(block, _on_block(block, columns)) for block, columns in blocks]
    if name == LOGISTIC:
        return _logistic()
    if name in (SEARCHED, SEARCHED_ON_ALL):
        return _searched_logistic(y)
    if name == WITH_PROMPTS:
        return BesidePrompts(prompts, _folds(y))
    if name == KERNEL:
        # As a function, the kernel is a matrix product, in a third of the time of libsvm's own.
        kernels = [partial(rbf_kernel, gamma=gamma) for gamma in (0.03, 0.125, 0.5, 2)]
        grid = {"svc__C": [1, 10, 100], "svc__kernel": kernels}
        return _searched(
            make_pipeline(Normalizer(), SVC(C=10, kernel=kernels[2])), grid, y, _FEW_OF_SVC
        )
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


def _searched(estimator, grid, y, few=_FEW):
    """Return a search on folds that these labels allow; without any, the estimator unchanged."""
    folds = _folds(y, few)
    return estimator if folds is None else GridSearchCV(estimator, grid, cv=folds)


def _folds(y, few=_FEW):
    """Return a splitter that these labels allow, or None.

    For more than `few` rows, one split of bounded size that has all classes on both sides.
    """
    smallest, n_classes = _smallest(y), len(np.unique(y))
    if smallest < 2:
        return None
    most = max(2 * few // 3, n_classes)
    if len(y) > few and len(y) // 3 >= n_classes:
        train, test = min(2 * len(y) // 3, 2 * most), min(len(y) // 3, most)
        return StratifiedShuffleSplit(1, train_size=train, test_size=test, random_state=0)
    return StratifiedKFold(min(_N_FOLDS, smallest), shuffle=True, random_state=0)


def _on_block(name, columns):
    return make_pipeline(ColumnTransformer([(name, "passthrough", columns)]), _logistic())


class BesidePrompts:
    """The average of the probabilities of a logistic regression and of prompts."""

    def __init__(self, prompts, cv):
        self.prompts = prompts
        self.cv = cv

    def fit(self, X, y):
        self.prompts.fit(X, y)
        self.classes_ = self.prompts.classes_
        folds = [] if self.cv is None else list(self.cv.split(X, y))
        searched = SearchedLogisticRegression(make_pipeline(_logistic()), X, y, folds)
        self.logistic_, self.share_ = searched.fit_beside(self.prompts)
        return self

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X):
        return average(self.share_, self.logistic_.predict_proba(X), self.prompts.predict_proba(X))


class KnoraE:
    """KNORA-E over a pool of classifiers, which it selects by rows that they have not seen.

    The pool is fitted on all rows. DESlib would ask it which of these it has right; here this is
    taken from copies that were fitted without the row, on folds. A pool that is fitted on half of
    the rows and selected by the other half, which needs no copies, is 4 to 8 points worse on emoji
    and 2 to 6 on digits (zoo, 2, 4 and 16 shots, 3 draws).

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

        folds = StratifiedKFold(min(_N_FOLDS, _smallest(y)), shuffle=True, random_state=0)
        held_out = [cross_val_predict(clone(one), X, y, cv=folds) for one in self.pool]
        pool = [member.fit(X, y) for member in self.pool]
        self.rule_ = Compatible(pool, k=min(7, len(y)), random_state=0).fit(X, y)
        self.rule_.BKS_DSEL_ = np.stack(
            [self.rule_.enc_.transform(one) for one in held_out], axis=1
        )
        self.rule_.DSEL_processed_ = np.stack(held_out, axis=1) == np.asarray(y)[:, None]
        self.classes_ = self.rule_.classes_
        return self

    def predict(self, X):
        return self.rule_.predict(X)
