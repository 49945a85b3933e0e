"""What the package has to beat: other libraries' classifiers on the same embeddings."""

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import validate_data

RIVALS = (
    "LogisticRegression, all columns",
    "NearestCentroid, all columns",
    "VotingClassifier, soft",
    "KNORA-E (DESlib)",
    "StackingClassifier",
)
SLOW = ("StackingClassifier",)


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
    if name == "LogisticRegression, all columns":
        return _logistic()
    if name == "NearestCentroid, all columns":
        return NearestCentroid()
    if name == "VotingClassifier, soft":
        return VotingClassifier(parts, voting="soft")
    if name == "KNORA-E (DESlib)":
        return KnoraE([part for _, part in parts])
    smallest = np.unique(y, return_counts=True)[1].min()
    if smallest < 2:
        raise NotAvailableError("stacking cross-validates: it needs two rows of each class")
    return StackingClassifier(parts, final_estimator=_logistic(), cv=int(min(5, smallest)))


def _logistic():
    return LogisticRegression(C=10.0, max_iter=1000)


def _on_block(name, columns):
    return make_pipeline(ColumnTransformer([(name, "passthrough", columns)]), _logistic())


class KnoraE:
    """KNORA-E over a pool of classifiers, which are fitted on the rows that it selects by.

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

        pool = [member.fit(X, y) for member in self.pool]
        self.rule_ = Compatible(pool, k=min(7, len(y)), random_state=0).fit(X, y)
        self.classes_ = self.rule_.classes_
        return self

    def predict(self, X):
        return self.rule_.predict(X)
