"""Fitting an ensemble, and what it would say of a row that it has not seen."""

from copy import copy
from numbers import Real
from typing import NamedTuple

import numpy as np

from .._utils._folds import few_shot_folds, folds_of_some, heard_rows, merge_copies
from .._utils._given import check_groups, check_weights, scaled_shares, warn_of_other_order
from .._utils._linalg import one_blas_thread, some_of
from .._utils._metadata import rows_of
from .._utils._sklearn import fit_context
from .._utils._warnings import each_warning_once, silent
from ._held_out import HeldOut
from ._suspect_rows import warn_of_contradictions, warn_of_groups, warn_of_weights
from ._unlabeled import learn_from_unlabeled
from .routers import combine, is_fixed

_N_FOLDS = 5  # of temperatures and router, whose heads are cross-fitted already


class Learned(NamedTuple):
    """What an ensemble was fitted on.

    Attributes
    ----------
    kept : ndarray of shape (n,), bool
        Which of the rows that were given have a label and a weight, and are the first of their
        copies; all else is of these.
    source : ndarray of shape (n,), int
        The first of the copies of a row.
    X : ndarray of shape (n_kept, n_features)
    y : ndarray of shape (n_kept,)
    metadata : dict
    held_out : HeldOut or None
    """

    kept: np.ndarray
    source: np.ndarray
    X: np.ndarray
    y: np.ndarray
    metadata: dict
    held_out: HeldOut | None


class CrossFit:
    """An ensemble with ``_check_rows``, ``_check_metadata``, ``_fit`` and the router's methods."""

    @fit_context(prefer_skip_nested_validation=False)
    def cross_fit(self, X, y, *, folds=None, sample_weight=None, groups=None):
        """Fit, and say what an ensemble that has not seen a row gives for it.

        Heads are judged as in :meth:`fit`, by rows that they have not seen; temperatures and router
        are then fitted on other rows than those that they are applied to, in five folds. So this
        takes about as long as :meth:`fit`, where :func:`sklearn.model_selection.cross_val_predict`
        takes five times as long.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Embeddings, or any table.
        y : array-like of shape (n,)
            Labels.
        folds : list of (train, test), default=None
            Takes the place of the parameter ``cv``.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows, as in :meth:`fit`.
        groups : array-like of shape (n,), default=None
            Groups of rows, as in :meth:`fit`.

        Returns
        -------
        logits : ndarray of shape (n, C)
            Zeros where nothing is known. What unlabelled rows add is not in them.
        known : ndarray of shape (n,), bool
            Which rows were held out from all experts that could be judged; not those without a
            label or a weight, nor the only one of its class where all heads learn from rows.

        Raises
        ------
        ValueError
            As :meth:`fit`.

        See Also
        --------
        skclipens.labels.find_label_issues : Labels that these logits make doubtful.

        Notes
        -----
        Where no row can be held out from temperatures and router, as with one row per class, these
        have seen the row: of zero-shot heads, that is a few numbers for all rows.
        """
        learned = self._learn(X, y, sample_weight, groups, folds)
        logits = np.zeros((len(learned.kept), len(self.classes_)), learned.X.dtype)
        known = np.zeros(len(learned.kept), bool)
        with one_blas_thread():
            rows, of_rows = self._held_out_logits(learned)
        rows = np.flatnonzero(learned.kept)[rows]
        logits[rows], known[rows] = of_rows, True
        return logits[learned.source], known[learned.source]

    @each_warning_once()
    def _learn(self, X, y, sample_weight, groups, folds=None, judge=True):
        """Fit; nothing is held out where nothing needs it, unless ``judge`` is true.

        Returns
        -------
        Learned
        """
        for name in ("_table_settings", "_fitted_on"):  # which are of the rows of another fit
            vars(self).pop(name, None)
        warn_of_other_order(X, sample_weight, "sample_weight")
        warn_of_other_order(X, groups, "groups")
        X, y, kept = self._check_rows(X, y)
        weights = scaled_shares(check_weights(sample_weight, X))
        groups = check_groups(groups, kept)
        given = {"sample_weight": weights, "groups": groups}
        cv = self.cv if folds is None else folds
        rest = X[~kept], some_of(weights, ~kept)
        if not kept.all():
            # A splitter sees the labelled rows alone; splits count all rows.
            cv = cv if hasattr(cv, "split") else folds_of_some(cv, kept, X, kept, groups)
            X, given = X[kept], rows_of(given, kept)
        metadata = self._check_metadata(X, y, **given)
        warn_of_weights(metadata["sample_weight"])
        heard, X, y, metadata, cv = heard_rows(X, y, metadata, cv)
        kept[kept] = heard
        warn_of_contradictions(X, y, np.flatnonzero(kept))
        warn_of_groups(y, metadata["groups"])
        first, X, y, metadata = self._without_copies(X, y, metadata, cv)
        source = np.arange(len(kept))
        source[kept] = np.flatnonzero(kept)[first]
        kept = kept & (source == np.arange(len(kept)))
        # Many small fits: threads within each cost more than they bring; n_jobs is for more cores.
        with one_blas_thread():
            relative_loss, held_out = self._fit(X, y, metadata, cv, judge)
            if self.unlabeled == "use":
                self.unlabeled_ = learn_from_unlabeled(self, X, y, metadata, *rest, relative_loss)
        return Learned(kept, source, X, y, metadata, held_out)

    def _without_copies(self, X, y, metadata, cv):
        """Rows that are no copies of others, with the weight of all of their copies.

        Where something cannot take weights, copies stay and are a group.

        Returns
        -------
        first : ndarray of shape (n,), int
            Which of the rows stands for a row.
        X, y, metadata
            Of the rows that stand for others, or for themselves.
        """
        every, same = np.arange(len(y)), (X, y, metadata)
        if metadata["groups"] is not None or not isinstance(cv, Real):
            return every, *same
        rows, place, weights = merge_copies(X, y, metadata["sample_weight"])
        if len(rows) == len(every):
            return every, *same
        if not self._takes_weights(y):
            return every, X, y, {**metadata, "groups": rows[place]}
        return rows[place], X[rows], y[rows], {**metadata, "sample_weight": weights}

    def _held_out_logits(self, learned):
        """Positions of rows that all judged experts can say something of unseen, and their logits.

        Returns
        -------
        rows : ndarray of int
            Among those that are kept.
        logits : ndarray of shape (n_rows, C)
        """
        _, _, X, y, metadata, held_out = learned
        folds = []
        if self.calibrate or not is_fixed(self.router_):
            of_held_out = held_out.rows
            groups = some_of(metadata["groups"], of_held_out)
            options = {"groups": groups, "random_state": self.random_state}
            folds = few_shot_folds(y[of_held_out], _N_FOLDS, **options)
        if not folds:
            return self._combine_held_out(X, held_out)
        parts = []
        for train, test in folds:
            part = copy(self)
            with silent(""):  # all was said of all rows already
                part._calibrate_and_route(X, y, held_out.take(train), self._make_router(), metadata)
            parts.append(part._combine_held_out(X, held_out.take(test)))
        return tuple(np.concatenate(part) for part in zip(*parts))

    def _combine_held_out(self, X, held_out):
        routed = self._routed
        known = held_out.known[:, routed].all(axis=1)
        rows = held_out.rows[known]
        temperatures = self.temperatures_[routed, None].astype(held_out.logits.dtype)
        return rows, combine(
            self.router_, X[rows], held_out.logits[known][:, routed] / temperatures
        )
