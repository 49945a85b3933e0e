"""Fit an ensemble over the files of ``embed_to``: heads by sums, or on rows that are kept."""

from itertools import islice
from numbers import Integral

import numpy as np
from sklearn.base import clone

from .._mistakes._row_order import warn_of_moved_labels
from .._utils._labels import allow_few_rows_per_class
from .._utils._metadata import rows_of
from .._utils._sklearn import fit_context
from .._utils._threads import one_blas_thread
from ..embedding._parts import PartedTable
from ..embedding._unreadable import warn_of_unreadable
from ..heads._classifier import trait_of
from ..heads._from_files import PassRequest, RowsOfFiles
from ..heads._text_head import encode_ahead
from ._doubts import warn_of_mistakes
from ._heads import HEADS
from ._held_out import HeldOut
from ._plan import make_plan, needs_held_out
from ._routing import combine_experts
from ._rows import labeled_rows, with_class_weights


class FitFromMixin:
    """Mixin for ensembles that can be fitted over files."""

    @fit_context(prefer_skip_nested_validation=False)
    def fit_from(self, folder, y, *, backbones=None, sample_weight=None):
        """Fit over a table that ``embed_to`` has written, one part at a time.

        Linear and residual heads are fitted by sums over the rows, in two passes, or one without
        residual heads. Kernel heads, temperatures and router are fitted on a sample of the rows
        that is kept in memory: at most 5,000 held-out rows, and the rows that a kernel head draws.
        For ``"logistic"`` and ``"logistic-all"``, all rows are kept, so ``head="auto"`` has
        ``"linear-all"`` in place of it if rows times columns are more than 1e8 (0.4 GB). Otherwise
        the result is that of :meth:`fit` on all rows, up to rounding, if all images can be read and
        no row is a copy of another: copies are not merged. ``memory`` is not used; ``verbose``
        shows progress.

        Parts are read by joblib tasks; see :meth:`LinearDiscriminantHead.fit_from`.

        Parameters
        ----------
        folder : str or os.PathLike
            Folder or fsspec URL.
        y : array-like of shape (n,)
            Labels, in the order of the images.
        backbones : None, str or list of str, default=None
            Backbones to fit on; see :func:`skclipens.embedding.read_embeddings`. None: all.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows. Rows with a weight of zero are left out.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        FileNotFoundError
            If the folder holds no embeddings.
        ValueError
            If a head, ``cv`` or ``unlabeled`` needs all rows in memory, the number of labels is not
            that of the rows, labels are indexed by the names of the images in another order, there
            are fewer than two classes, or a part is missing or damaged.

        Warns
        -----
        UserWarning
            If rows are left out since their images could not be read, and if :meth:`fit` would
            warn, except about copies. Of these, it warns of rows of the same file.

        See Also
        --------
        skclipens.embedding.predict_embeddings : Classify the rows of such a table.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
        >>> from skclipens.datasets import load_emoji
        >>> from skclipens.embedding import predict_embeddings
        >>> emoji = load_emoji(min_class_size=60)
        >>> y = emoji.target_names[emoji.target]
        >>> embedder = MultiBackboneEmbedder(["zoo/RN20", "zoo/ViT-16"])
        >>> with TemporaryDirectory() as folder:
        ...     parts = embedder.embed_to(folder, emoji.filenames)
        ...     clf = AdaptiveBackboneEnsemble(random_state=0).fit_from(folder, y)
        ...     found = predict_embeddings(clf, folder)
        >>> found.shape == (len(y), 2)
        True
        """
        self._refuse_what_needs_all_rows()
        table = PartedTable(folder, backbones)
        rows = RowsOfFiles(table, y, sample_weight, labeled=labeled_rows(self, y))
        labels = rows.classes[rows.targets]
        metadata = {"sample_weight": rows.sample_weight, "groups": None}
        metadata = with_class_weights(self, labels, metadata)
        if metadata["sample_weight"] is not None:
            rows.set_weights(metadata["sample_weight"])
        names = np.array(table.columns, dtype=object)
        self.n_features_in_, self.feature_names_in_ = len(names), names
        weighted = rows.weights > 0
        learned = labels[weighted], rows_of(metadata, weighted)
        plan = make_plan(self, len(names), names, *learned, in_memory=False)
        for expert in plan.experts:
            _check_head(expert)
        encode_ahead([expert.head for expert in plan.experts], plan.classes, self.verbose)
        fits = [_fit_expert_over(expert, rows, plan.classes) for expert in plan.experts]
        with one_blas_thread():
            requests = [next(fit) for fit in fits]
            keep = np.concatenate([one.keep for one in requests])
            sums, kept = _read(self, rows, requests, validation=rows.validation, keep=keep)
            warn_of_unreadable(rows.unreadable, "are left out", None, labels=labels)
            y, metadata = rows.classes[rows.targets[kept.rows]], rows_of(metadata, kept.rows)
            warn_of_mistakes(self, plan, kept.X, y)
            with allow_few_rows_per_class():
                fitted, held_out = self._finish(fits, sums, kept, rows)
            if not needs_held_out(self, plan.router):
                held_out = None
            plan = plan._replace(experts=fitted)
            found = combine_experts(self, plan, held_out, kept.X, y, metadata)
            learns = any(expert.learns for expert in self.experts_)
            told = found.for_rows(kept.rows, table.n_rows)
            warn_of_moved_labels(rows.labeled_targets, *told, learns=learns)
        self._table_settings = table.settings
        return self

    def _finish(self, fits, sums, kept, rows):
        """Return fitted experts, after a second pass if any needs one, and ``HeldOut``."""
        found = [fit.send((of_fit, kept)) for fit, of_fit in zip(fits, sums, strict=True)]
        again = [e for e, one in enumerate(found) if isinstance(one, PassRequest)]
        if again:
            sums, _ = _read(self, rows, [found[e] for e in again])
            for e, of_fit in zip(again, sums, strict=True):
                found[e] = fits[e].send((of_fit, kept))
        experts, logits, valid = zip(*found, strict=True)
        return list(experts), HeldOut(kept.validation, np.stack(logits, 1), np.stack(valid, 1))

    def _refuse_what_needs_all_rows(self):
        if not isinstance(self.cv, Integral):
            raise ValueError("cv needs all rows in memory, unless it is an int.")
        if self.unlabeled == "use":
            raise ValueError(
                "unlabeled='use' needs all rows in memory; unlabeled='ignore' leaves out rows "
                "without a label."
            )


def _fit_expert_over(expert, rows, classes):
    """Fit an expert, as a generator like ``_fit_over`` of a head.

    In place of returning a result, it yields the fitted expert, its logits of the validation rows,
    and which of these can validate it.
    """
    if expert.learns:
        head = clone(expert.head)
        logits, valid = yield from head._fit_over(rows, expert.block.columns)
        fitted = expert._replace(head=head)
        yield fitted, fitted.for_classes(logits, classes), valid
    else:
        _, kept = yield PassRequest()
        fitted = expert.fit(*rows.one_row_per_class(), {})
        labels = rows.classes[rows.targets[kept.rows[kept.validation]]]
        valid = np.isin(labels, fitted.head.classes_)
        yield fitted, fitted.logits(kept.X[kept.validation], classes), valid


def _read(ensemble, rows, requests, **which):
    """Run a pass; return the sums that each head wants, and the rows that are kept."""
    sums, kept = rows.read(
        ensemble, [sums for one in requests for sums in one.sums], **which, verbose=ensemble.verbose
    )
    sums = iter(sums)
    return [list(islice(sums, len(one.sums))) for one in requests], kept


def _check_head(expert):
    """Raise ValueError if the head cannot be fitted over files."""
    if not expert.learns:
        return
    if trait_of(expert.head, "_fit_over") is None:
        able = [name for name, head in HEADS.items() if trait_of(head, "_fit_over")]
        raise ValueError(
            f"{type(expert.head).__name__}, the head of {expert.name!r}, needs all rows in memory. "
            f"Over files, heads are 'zero-shot', {', '.join(map(repr, able))}, or frozen."
        )
    if getattr(expert.head, "cv", None) is not None:
        raise ValueError(f"The cv of {expert.name!r} needs all rows in memory: leave it None.")
