"""Find labels that are probably wrong."""

from numbers import Integral

import numpy as np
from scipy.special import expit, logsumexp, softmax
from sklearn.base import clone, is_classifier

from .._mistakes._predictions import warn_of_no_better_than_chance
from .._mistakes._rows import warn_of_contradictions
from .._utils._copies import groups_of_pictures, numbers_of
from .._utils._docstrings import fill_doc
from .._utils._folds import (
    CV_CONSTRAINTS,
    can_be_held_out,
    check_cv_of_rows,
    folds_of_some,
    limit_validation_rows,
)
from .._utils._known_labels import positions_of_labels
from .._utils._labels import check_labels
from .._utils._probabilities import refuse_nan
from .._utils._row_numbers import fitted_rows
from .._utils._sample_arguments import index_of
from .._utils._sklearn import HasMethods, MethodsOfFitted, StrOptions, validate_params
from .._utils._warnings import each_warning_once, warn
from ..embedding._once import embedded_once
from ..embedding._unreadable import readable
from ._held_out import checked_labels, held_out_logits, refuse_frozen, rows_to_compare

# The posterior is computed for these shares of random labels and logarithms of temperatures: the
# coarse ones, then the fine ones around the best of them.
_SHARES = expit(np.linspace(-9, 4, 53))[:, None]
_COARSE, _FINE = np.arange(-7, 7.5, 0.5), np.arange(-1, 1.05, 0.1)
_MOST_ROWS = 100_000  # whose logits are held in memory, for each expert
_MOST_MARKED = 0.5  # share of the labels
_MOST_CERTAIN, _FEW_ZEROS = 0.5, 0.05  # shares of the rows


@each_warning_once()
@validate_params(
    {
        "estimator": [MethodsOfFitted(["fit", "predict_proba"]), HasMethods(["fit", "cross_fit"])],
        "method": [StrOptions({"noise", "confident-learning"})],
        "cv": CV_CONSTRAINTS,
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=False,
)
@fill_doc
def find_label_issues(estimator, X, y, *, method="noise", groups=None, cv=5, random_state=None):
    """Estimate the probability that each label is right, and mark those that are probably wrong.

    Each label is compared with a held-out prediction for its row. Images are embedded once. An
    :class:`~skclipens.AdaptiveBackboneEnsemble` is fitted once, since it has held-out logits of its
    own; any other classifier is cross-validated in `cv` folds.

    Parameters
    ----------
    estimator : classifier, or pipeline of images that ends in one
        A classifier with ``cross_fit`` or ``predict_proba``. A clone of it is fitted.
    X : array-like of shape (n, ...)
        What `estimator` is fitted on: embeddings, or images for a pipeline.
    y : array-like of shape (n,)
        Labels, of which some may be wrong.
    method : {"noise", "confident-learning"}, default="noise"
        How wrong labels are found.

        - ``"noise"``: each label is assumed to be right or, with an unknown probability, to be
          replaced by a random class [1]_, of those that judged labels have. This probability and
          one temperature of the held-out logits are the same for all classes, so few rows suffice.
          Results are averages over their posterior, with a uniform prior of the probability and a
          standard normal one of the logarithm of the temperature, of which values up to 1 from the
          most probable one count. A label is marked if it is wrong with a probability above 0.5.
        - ``"confident-learning"``: the threshold of a class is its mean probability for the rows
          with its label. Count the m rows for which another class than their label has the largest
          probability of those above their thresholds: the m labels with the lowest probabilities
          are marked [2]_. This marks many correct labels if the classifier is often wrong.
    groups : array-like of shape (n,), default=None
        Rows of a group, such as pictures of one object, are never split between the training and
        the test part of a fold.
    %(held_out_by)s

    Returns
    -------
    pandas.DataFrame
        One row for each row of X, in their order: ``sort_values("label_quality")`` brings the most
        doubtful to the front. The index is that of X, or of y if X is not a DataFrame or Series.
        Columns:

        - ``row``: the position in X;
        - ``is_label_issue``: whether the label is probably wrong;
        - ``label_quality``: the probability that the label is right, or with
          ``"confident-learning"`` the held-out probability of the label. NaN if the row cannot be
          held out, such as the only row of its class, or its image cannot be read. Also NaN if the
          row is in no test part of `cv`, or ``cross_fit`` of the estimator does not hold it out: it
          holds out at most 100,000 rows, and only those in the test parts of its own ``cv``;
        - ``given_label``, and ``predicted_label``, the held-out prediction.

        With ``"noise"``, ``attrs["noise_rate"]`` is the mean of the posterior of the share of wrong
        labels.

    Raises
    ------
    TypeError
        If the estimator is not a classifier.
    ValueError
        If X and y have different lengths, no row can be held out, the estimator is frozen or gives
        NaN as probabilities, or an image cannot be read and the embedder has ``on_error="raise"``.

    Warns
    -----
    UserWarning
        If images cannot be read, or no other row has a label; their ``label_quality`` is NaN.
    SuspectedMistakeWarning
        If labels are not judged although their classes have other rows, rows of at least 32
        columns are equal and have different labels, more than half of the labels are marked,
        held-out predictions are right as by chance, or most probabilities are 0 or 1.

    See Also
    --------
    skclipens.AdaptiveBackboneEnsemble.cross_fit : The held-out logits.
    suggest : Pictures to label next.

    References
    ----------
    .. [1] Bootkrajang and Kabán, "Label-Noise Robust Logistic Regression and Its Applications",
       ECML PKDD 2012, with the same noise for all pairs of classes.
    .. [2] Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset
       Labels", JAIR 2021, sections 3.1 and 3.2.

    Examples
    --------
    Two labels are exchanged:

    >>> from skclipens import make_backbone_pipeline
    >>> from skclipens.datasets import load_emoji
    >>> from skclipens.labels import find_label_issues
    >>> emoji = load_emoji(min_class_size=50)
    >>> X, y = emoji.filenames[::3], emoji.target_names[emoji.target[::3]]
    >>> print(y[3], "|", y[80])
    person at work | land vehicle
    >>> y[[3, 80]] = y[[80, 3]]
    >>> clf = make_backbone_pipeline(["zoo/RN20", "zoo/ViT-16"], random_state=0)
    >>> issues = find_label_issues(clf, X, y)
    >>> sorted(issues.sort_values("label_quality")["row"][:2].tolist())
    [3, 80]
    """
    if not is_classifier(estimator):
        raise TypeError(f"estimator must be a classifier; got {type(estimator).__name__}.")
    refuse_frozen(estimator)
    index = index_of(X, y)
    X, y, groups = checked_labels(X, y, groups)
    check_labels(y)
    cv = check_cv_of_rows(cv, len(y), groups)
    _, classifier, X, unreadable = embedded_once(estimator, X, y)
    cv = folds_of_some(cv, ~unreadable, None, y, groups) if unreadable.any() else cv
    classifier, (X, labels, groups) = clone(classifier), readable([X, y, groups], unreadable)
    rows = fitted_rows(np.flatnonzero(~unreadable), len(unreadable))
    with limit_validation_rows(_MOST_ROWS), rows:
        logits, is_judged = held_out_logits(
            classifier, X, labels, groups=groups, cv=cv, random_state=random_state
        )
    positions = np.flatnonzero(~unreadable)
    _warn_of_contradictions(classifier, X, labels, positions)
    _warn_of_only_rows(labels, groups, is_judged, positions)
    if isinstance(cv, Integral):  # a user's own splits may leave rows out
        _warn_of_unjudged(classifier, X, labels, groups, is_judged)
    logits, labels = logits[is_judged], labels[is_judged]
    judged = ~unreadable
    judged[judged] = is_judged
    refuse_nan(logits, np.flatnonzero(judged))
    if not judged.any():
        why = "too few classes have a second row"
        if not isinstance(cv, Integral):
            why = "cv holds out no row whose class is among its training rows"
        elif groups is not None:
            why = "rows of a group do not judge each other; too few classes have rows of two groups"
        raise ValueError(f"No label can be judged: {why}.")
    targets = positions_of_labels(labels, classifier.classes_)
    judge = _by_noise if method == "noise" else _by_confidence
    with np.errstate(under="ignore"):
        issue, quality, attrs = judge(logits.astype(float), targets)
    predicted = classifier.classes_[logits.argmax(axis=1)]
    if issue.mean() > _MOST_MARKED:
        warn(
            f"{issue.sum()} of {len(issue)} labels are marked. If not so many are wrong, the "
            "classifier cannot tell the classes apart: check that y is in the order of X and that "
            "the names of the classes say what is in the pictures, or label more of them."
        )
    else:
        warn_of_no_better_than_chance(labels, predicted)
    _warn_of_zeros(logits, targets)
    frame = _frame(y, index, judged, issue, quality, predicted)
    frame.attrs.update(attrs)
    return frame


def _warn_of_zeros(logits, targets):
    """Warn if most probabilities are 0 or 1, and those of more than a few labels 0."""
    impossible = np.isneginf(logits)
    own = impossible[np.arange(len(targets)), targets]
    certain = impossible.sum(axis=1) == logits.shape[1] - 1
    if own.mean() > _FEW_ZEROS and certain.mean() > _MOST_CERTAIN:
        warn(
            f"The classifier gives {own.sum()} of {len(own)} labels a probability of 0, and most "
            "of its predictions one of 1, as a tree or few neighbours do. Such labels count as "
            "wrong, however often the classifier is. Take one whose probabilities lie between, "
            "such as LogisticRegression."
        )


def _warn_of_contradictions(classifier, X, labels, rows):
    if numbers_of(X) is not None:  # what a pipeline makes of other input is not computed for this
        compared = rows_to_compare(classifier, X)
        warn_of_contradictions(compared["X"], labels, rows, compared["images"])


def _warn_of_only_rows(labels, groups, is_judged, positions):
    lone = np.flatnonzero(~can_be_held_out(labels, groups) & ~is_judged)
    if len(lone) and is_judged.any():
        other = "" if groups is None else " of another group"
        warn(
            f"{len(lone)} of {len(labels)} labels are not judged, since no other row{other} has "
            f"them, first {labels[lone[:1]].tolist()[0]!r} in row {positions[lone[0]]}: their "
            "label_quality is NaN. Check these yourself.",
            UserWarning,
        )


def _warn_of_unjudged(classifier, X, labels, groups, is_judged):
    left = can_be_held_out(labels, groups) & ~is_judged
    if not left.any() or not is_judged.any():
        return
    if groups is None and (compared := rows_to_compare(classifier, X))["X"] is not None:
        copies = groups_of_pictures(compared["X"], labels, compared["images"], any_label=True)
        left &= can_be_held_out(labels, copies)  # these do not judge each other
    if left.any():
        why = "A fold is left out if it trains on a class alone: give smaller groups, or more rows."
        if hasattr(classifier, "cross_fit"):
            why = (
                f"At most {_MOST_ROWS:,} rows are held out, and only those that cv of the ensemble "
                "holds out. Pass more rows in parts that have all classes, and set cv to a number "
                "of folds, each row being in one of them."
            )
        warn(
            f"{left.sum()} of {len(labels)} labels are not judged, though their classes have other "
            f"rows: their label_quality is NaN. {why}"
        )


def _frame(y, index, judged, issue, quality, predicted):
    """Return a frame with a row for each label, and with results for those that are judged."""
    import pandas as pd

    frame = pd.DataFrame(
        {
            "row": np.arange(len(y)),
            "is_label_issue": np.zeros(len(y), bool),
            "label_quality": np.full(len(y), np.nan),
            "given_label": y,
            "predicted_label": np.full(len(y), None, object),
        },
        index=index,
    )
    frame.loc[judged, "is_label_issue"] = issue
    frame.loc[judged, "label_quality"] = quality
    frame.loc[judged, "predicted_label"] = predicted
    if judged.all():
        frame["predicted_label"] = frame["predicted_label"].astype(frame["given_label"].dtype)
    return frame


def _by_noise(logits, y):
    """Return which labels are probably wrong, the probability that each is right, and the rate."""
    judged = np.unique(y)
    best = _COARSE[np.argmax([_average_over_shares(logits, y, t, judged)[0] for t in _COARSE])]
    found = [_average_over_shares(logits, y, t, judged) for t in best + _FINE]
    log_weights, wrong, shares = (np.array(values) for values in zip(*found, strict=True))
    weights = softmax(log_weights)
    wrong, share = weights @ wrong, weights @ shares
    return wrong > 0.5, 1 - wrong, {"noise_rate": float(share * (1 - 1 / len(judged)))}


def _average_over_shares(logits, y, log_temperature, judged):
    """Return the log posterior of a temperature, how probably each label is wrong, and the share.

    The latter two are averages over the posterior of the share. Its prior is uniform, and that of
    the logarithm of the temperature standard normal. `judged` are the classes of judged labels. A
    class of one row, for example, has none: a row with this label would not be here.
    """
    proba = softmax(logits / np.exp(log_temperature), axis=1)
    of_judged = (1 - _SHARES) * proba[:, judged].sum(axis=1) + _SHARES
    proba = proba[np.arange(len(y)), y]
    random = _SHARES / len(judged)
    likelihood = (1 - _SHARES) * proba + random
    # The grid of shares is even in log odds.
    prior = np.log(_SHARES * (1 - _SHARES))[:, 0] - log_temperature**2 / 2
    log_posterior = np.log(likelihood / of_judged).sum(axis=1) + prior
    weights = softmax(log_posterior)
    # A random label may be right by chance.
    wrong = weights @ (random / likelihood) * (1 - proba)
    return logsumexp(log_posterior), wrong, weights @ _SHARES[:, 0]


def _by_confidence(logits, y):
    """Mark the labels of lowest probability, as many as the confident joint has off-diagonal."""
    proba = softmax(logits, axis=1)
    own = proba[np.arange(len(y)), y]
    sizes = np.bincount(y, minlength=proba.shape[1])
    thresholds = np.bincount(y, own, minlength=proba.shape[1]) / np.maximum(sizes, 1)
    thresholds[sizes == 0] = np.inf
    confident = np.where(proba >= thresholds, proba, -1)
    counted = confident.max(axis=1) >= 0
    n_issues = np.count_nonzero(counted & (confident.argmax(axis=1) != y))
    issue = np.zeros(len(y), bool)
    issue[np.argsort(own, kind="stable")[:n_issues]] = True
    return issue, own, {}
