"""Achievable accuracy of the experts: combinations that are fitted on test labels.

For diagnosis only: no system of the tables is fitted like this, and nothing is chosen by it.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skclipens.ensemble import GatedRouter, StaticRouter
from skclipens.ensemble.routers import combine

N_FOLDS = 5
MAX_ROWS = 2000  # that a combination is fitted on, which is most of its time
ROUTERS = {
    "static": StaticRouter,
    **{f"gates, strength {s:g}": lambda s=s: GatedRouter(gate_alpha=s) for s in (1, 0.1, 0.01)},
}
STACKERS = {f"stacker, C={C:g}": C for C in (0.01, 0.1, 1)}
CANDIDATES = (*ROUTERS, *STACKERS)


def cross_fitted(clf, X, y, *, random_state=0, max_rows=MAX_ROWS):
    """Return which test rows each combination of frozen experts has right.

    Parameters
    ----------
    clf : AdaptiveBackboneEnsemble
        Fitted on other rows. Its experts and their temperatures stay as they are.
    X : ndarray of shape (n, n_features)
    y : ndarray of shape (n,)
        True labels of the test rows. The rows are split into five folds; predictions for a fold
        come from a combination that was fitted on the labels of the other four.
    random_state : int
    max_rows : int
        Fit a combination on a sample of this size if there are more rows; it predicts all.

    Returns
    -------
    dict of str to ndarray of shape (n,), bool
    """
    targets = np.searchsorted(clf.classes_, y)
    logits = clf.transform(X).reshape(len(X), -1, len(clf.classes_))
    right = {name: np.zeros(len(y), bool) for name in CANDIDATES}
    rng = np.random.default_rng(random_state)
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=random_state)
    for others, fold in folds.split(X, targets):
        some = rng.permutation(others)[:max_rows]
        for name, make in ROUTERS.items():
            router = make().fit(X[some], logits[some], targets[some])
            combined = combine(router, X[fold], logits[fold])
            right[name][fold] = combined.argmax(axis=1) == targets[fold]
        table = logits.reshape(len(X), -1)
        for name, C in STACKERS.items():
            stacker = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=200))
            stacker.fit(table[some], targets[some])
            right[name][fold] = stacker.predict(table[fold]) == targets[fold]
    return right
