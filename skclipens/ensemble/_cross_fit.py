"""Cross-fitting of an ensemble: its held-out logits."""

from numbers import Real

import numpy as np

from .._utils._folds import check_folds, few_shot_folds, some_splits
from .._utils._linalg import some_of
from .._utils._sklearn import fit_context, num_samples
from .._utils._tables import refuse_unread
from .._utils._threads import one_blas_thread
from .._utils._warnings import silent
from ._plan import Plan, make_router, needs_held_out
from ._routing import calibrate_and_route

_N_FOLDS = 5  # for temperatures and router; the heads are cross-fitted already


class EnsembleCrossFitMixin:
    """Mixin for ensembles that have ``_learn``."""

    @fit_context(prefer_skip_nested_validation=False)
    def cross_fit(self, X, y, *, folds=None, sample_weight=None, groups=None):
        """Fit, and return held-out logits of the ensemble for the rows.

        Held-out logits of the heads are those of :meth:`fit`; temperatures and router are then
        cross-fitted on them in five folds. So this takes about as long as :meth:`fit`, while
        :func:`sklearn.model_selection.cross_val_predict` takes five times as long.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Embeddings, or any table.
        y : array-like of shape (n,)
            Labels.
        folds : iterable of (train, test), default=None
            Replaces the parameter ``cv``.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows, as in :meth:`fit`.
        groups : array-like of shape (n,), default=None
            Groups of rows, as in :meth:`fit`.

        Returns
        -------
        logits : ndarray of shape (n, C)
            Held-out logits, and zeros for rows that have none; without the correction by unlabelled
            rows.
        valid : ndarray of shape (n,), bool
            Which rows were held out from all experts that held-out rows can validate; see ``cv``.
            Not held out are: rows without a label or a weight; the only row of a class, if all
            heads learn from rows; and rows that ``cv`` does not hold out, for instance if it is a
            fraction. At most 5,000 rows are held out.

        Raises
        ------
        ValueError
            As :meth:`fit`.

        See Also
        --------
        skclipens.labels.find_label_issues : Labels that these logits make doubtful.

        Notes
        -----
        If no row can be held out from temperatures and router, as with one row per class, these
        were fitted on the same rows. With zero-shot heads they are only a few numbers.

        Settings of heads, such as the temperatures of their corrections, are those of all rows. So
        if X tells nothing of y, held-out logits are a little better than guessing.

        If :meth:`fit` needs no held-out rows, as with ``router="uniform"`` and ``calibrate=False``,
        heads are fitted once more, on all rows, since folds may change what they choose.
        """
        refuse_unread(X)  # before its rows are counted
        if folds is not None and not isinstance(folds, Real) and not hasattr(folds, "split"):
            folds = some_splits(check_folds(folds, num_samples(X), "folds"), "folds")
        learned, held_out = self._learn(X, y, sample_weight, groups, folds=folds, hold_out=True)
        logits = np.zeros((len(learned.y), len(self.classes_)), learned.X.dtype)
        valid = np.zeros(len(learned.y), bool)
        with one_blas_thread():
            rows, found = self._held_out_logits(learned, held_out)
        logits[rows], valid[rows] = found, True
        return learned.for_input_rows(logits), learned.for_input_rows(valid)

    def _held_out_logits(self, learned, held_out):
        """Return the rows that were held out from all validated experts, and their logits.

        Rows are positions among the learned rows.
        """
        X, y, metadata = learned.X, learned.y, learned.metadata
        folds = [(slice(None), slice(None))]  # which experts rows were held out from is asked anew
        if needs_held_out(self, self.router_):
            groups = some_of(metadata["groups"], held_out.rows)
            options = {"groups": groups, "random_state": self.random_state}
            folds = few_shot_folds(y[held_out.rows], _N_FOLDS, **options)
        if not folds:
            return self._combination.of_held_out(X, held_out)
        parts = []
        for train, test in folds:
            with silent(""):  # the fit on all rows has given the same warnings
                router = make_router(self)
                plan = Plan(self.experts_, self.classes_, router, self._log_weights)
                seen = held_out.take(train)
                combination, _ = calibrate_and_route(self, plan, seen, X, y, metadata)
            parts.append(combination.of_held_out(X, held_out.take(test)))
        return tuple(np.concatenate(part) for part in zip(*parts))
