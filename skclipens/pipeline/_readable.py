"""Run the steps of a pipeline without the images that an embedder cannot read."""

import numpy as np
from sklearn.base import is_regressor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import check_is_fitted

from .._mistakes._series import rows_of_files
from .._utils._known_labels import check_is_no_class, with_label
from .._utils._labels import column_of_labels
from .._utils._row_numbers import fitted_rows
from .._utils._sklearn import routing_enabled
from .._utils._warnings import each_warning_once
from .._utils._weights_and_groups import shares_again
from ..embedding._image_columns import (
    columns_of_embedders,
    image_columns,
    image_of_each_row,
    in_any,
    may_leave_out,
    refuse_missing_in_later,
    unreadable_by_column,
)
from ..embedding._unreadable import (
    answers_for_all,
    classes_lost,
    filled,
    put_in,
    readable,
    refuse_splits,
    warn_of_unreadable,
    what_unreadable_get,
)
from ._submodels import BY_SUBMODELS, METHODS, fit_submodels


class ReadableMixin:
    """Mixin for a pipeline that leaves out unreadable images if ``on_error="nan"``."""

    submodels_ = ()
    _types_of_columns = None  # of steps that were fitted elsewhere, it is not known

    def _after_embedder(self):
        """Return the position of the step after an embedder with on_error="nan", or None."""
        for position, (_, step) in enumerate(self.steps[:-1], start=1):
            if may_leave_out(step):
                return position
        return None

    def _fit_readable(self, after, X, y, params, method="fit"):
        """Fit on the rows that can be read.

        Returns the whole table, the unreadable rows, and the result of `method` for the others.
        """
        before, rest = self[:after], self[after:]
        to_before, params = _split_params(before, rest, method, params)
        embedded = before.fit_transform(X, y, **to_before)
        step = before.steps[-1][1]
        by_column = unreadable_by_column(step, embedded)
        unreadable, images = in_any(by_column), image_of_each_row(before, X, by_column)
        labels = None if is_regressor(self) else y
        what = "train submodels alone" if self.submodels else "are left out"
        warn_of_unreadable(unreadable, what, images, labels=labels)
        refuse_splits(rest, unreadable)

        def fit(model, table, left_out, method="fit"):
            given = _readable_arguments(table, y, params, left_out)
            rows = fitted_rows(np.flatnonzero(~left_out), len(left_out))
            with rows_of_files(*readable([images], left_out)), rows:
                return getattr(model, method)(*given[:2], **given[2])

        answers = fit(rest, embedded, unreadable, method)
        self.steps = [*before.steps, *rest.steps]  # with a memory, fitted steps are other objects
        self._check_unreadable_label(getattr(self.steps[-1][1], "classes_", None))
        self.submodels_ = []
        if self.submodels:
            lost = classes_lost(unreadable, labels)
            of_lost = np.array([label in lost for label in column_of_labels(y)]) if lost else False
            self.submodels_ = fit_submodels(
                columns_of_embedders(step),
                by_column,
                rest,
                embedded,
                lambda model, table, out: fit(model, table, out | of_lost),
            )
        return embedded, unreadable, answers

    def _fit_and_answer(self, method, after, X, y, params):
        """Return what `method` of the last step, such as fit_predict, gives for all images."""
        embedded, unreadable, answers = self._fit_readable(after, X, y, params, method)
        rows = np.maximum(np.cumsum(~unreadable) - 1, 0)
        if hasattr(answers, "iloc"):
            answers = answers.iloc[rows].set_axis(embedded.index)
        else:
            answers = answers[rows]
        return self._mark_unreadable(method.removeprefix("fit_"), answers, unreadable)

    def _check_unreadable_label(self, classes):
        """Raise ValueError if the label is one of the classes, or of another type."""
        if classes is None or self.unreadable_label is None:
            return
        for of_output in classes if isinstance(classes, list) else [classes]:
            told = "unreadable_label", "an image cannot be read"
            check_is_no_class(self.unreadable_label, of_output, *told)

    @each_warning_once()
    def _answer(self, method, X, params):
        """Return the result of a method of the last step for images."""
        check_is_fitted(self)
        refuse_missing_in_later(image_columns(self.steps[0][1], X))
        after = self._after_embedder()
        if after is None:
            return self._answer_all(method, X, params)
        if method == "predict":  # the parameter may have been set after `fit`
            self._check_unreadable_label(getattr(self._final_estimator, "classes_", None))
        label = self.unreadable_label
        what = "get NaN" if is_regressor(self) else what_unreadable_get(method, label)
        answers, _ = self._answers(method, after, X, params, what)
        return answers

    def _answers(self, method, after, X, params, what, *, all_may_be=True):
        """Return the result of a method, and which rows have none; `what` says what these get.

        Raise ImageError if no row has one, unless `all_may_be` is true.
        """
        embedded, by_column, images = self._embedded(after, X)
        unreadable, submodels = in_any(by_column), self.submodels_ if method in METHODS else []
        by_submodels = [(one, one.rows_in(by_column)) for one in submodels]
        answered = np.any([unreadable & False, *(rows for _, rows in by_submodels)], axis=0)
        unanswered = unreadable & ~answered
        warn_of_unreadable(unanswered, what, images, all_may_be=all_may_be)
        warn_of_unreadable(answered, BY_SUBMODELS, images, all_may_be=True)
        answers = self._answers_after(after, method, embedded, params, unreadable, unanswered)
        for one, rows in by_submodels:
            if rows.any():
                table = one.table_of(embedded, rows)
                put_in(answers, rows, one.model._answer_all(method, table, params))
        return answers, unanswered

    def _embedded(self, after, X):
        """Return the table after the embedder, its unreadable rows by column, and their images."""
        before = self[:after]
        table = before.transform(X)
        by_column = unreadable_by_column(before.steps[-1][1], table)
        return table, by_column, image_of_each_row(before, X, by_column)

    @each_warning_once()
    def _score(self, X, y, sample_weight, params):
        """Return the score of the last step on the images that can be read.

        With submodels, the accuracy or R² of all rows that are predicted. Of several outputs, all
        must be right.
        """
        after = self._after_embedder()
        if after is None:
            return super().score(X, y, sample_weight, **params)
        check_is_fitted(self)
        if self.submodels_:
            answers, unanswered = self._answers(
                "predict", after, X, {}, "do not count", all_may_be=False
            )
            answers, y, sample_weight = readable([answers, y, sample_weight], unanswered)
            # With None among them, labels were objects.
            return _score_of(self, y, np.array(answers.tolist()), sample_weight)
        embedded, by_column, images = self._embedded(after, X)
        unreadable = in_any(by_column)
        warn_of_unreadable(unreadable, "do not count", images)
        embedded, y, sample_weight = readable([embedded, y, sample_weight], unreadable)
        return self[after:].score(embedded, y, sample_weight, **params)

    def _answer_all(self, method, X, params):
        if hasattr(Pipeline, method):
            return getattr(super(), method)(X, **params)
        for step in self._transformers():
            X = step.transform(X)
        return getattr(self._final_estimator, method)(X, **params)

    def _answers_after(self, after, method, embedded, params, unreadable, unanswered):
        answers = answers_for_all(
            lambda table: self[after:]._answer_all(method, table, params), embedded, unreadable
        )
        return self._mark_unreadable(method, answers, unanswered)

    def _mark_unreadable(self, method, answers, unreadable):
        """Return results with ``unreadable_label`` or NaN in unreadable rows."""
        if not unreadable.any():
            return answers
        if method == "predict" and not is_regressor(self):
            return with_label(answers, unreadable, self.unreadable_label)
        return filled(answers, unreadable, np.nan)


def _split_params(before, rest, method, params):
    """Return the parameters of ``Pipeline.fit`` that are for each of two parts of a pipeline.

    With metadata routing, both get what their steps request, which may be the same weights.
    """
    if routing_enabled():
        asked = [(before, "fit_transform"), (rest, method)]
        asked = [get_routing_for_object(part).consumes(of, params) for part, of in asked]
    else:
        names = {name for name in params if name.partition("__")[0] in before.named_steps}
        asked = [names, params.keys() - names]
    return [{name: params[name] for name in params if name in some} for some in asked]


def _readable_arguments(table, y, params, left_out):
    """Return the table, y and parameters of a fit without the rows that are left out."""
    table, y, *values = readable([table, y, *params.values()], left_out)
    values = [
        shares_again(some, all_) if name.endswith("sample_weight") else some
        for some, (name, all_) in zip(values, params.items(), strict=True)
    ]
    return table, y, dict(zip(params, values, strict=True))


def _score_of(model, y, answers, sample_weight):
    if is_regressor(model):
        return r2_score(y, answers, sample_weight=sample_weight)
    if answers.ndim == 2:
        return np.average((answers == np.asarray(y)).all(axis=1), weights=sample_weight)
    return accuracy_score(y, answers, sample_weight=sample_weight)
