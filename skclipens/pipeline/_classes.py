"""Classes of a pipeline that are set by their names."""

from sklearn.utils.metaestimators import available_if

from .._utils._docstrings import fill_doc
from .._utils._sklearn import unchanged_by_failure
from ..ensemble import AdaptiveBackboneEnsemble
from ..ensemble._without_labels import start_by_names


class ClassesMixin:
    """Mixin for a pipeline whose last step may take other classes."""

    @available_if(lambda pipeline: hasattr(pipeline._final_estimator, "set_classes"))
    @fill_doc
    def set_classes(self, classes, *, class_names=None, templates=None):
        """Switch a zero-shot ensemble to other classes, and keep its temperatures and router.

        If nothing learns from images (``head="zero-shot"``, ``calibrate=False``, and a router such
        as ``"uniform"``), this can replace :meth:`fit`.

        Parameters
        ----------
        %(other_classes)s

        Returns
        -------
        self
            With these classes.

        Raises
        ------
        ValueError
            If a head has learned from rows, there are fewer than two classes, or one has no name.
        NotFittedError
            If the pipeline is not fitted, and something learns from rows.
        """
        last = self._final_estimator
        with unchanged_by_failure(last):
            if isinstance(last, AdaptiveBackboneEnsemble) and not hasattr(last, "experts_"):
                start_by_names(last, self[:-1].get_feature_names_out())
            last.set_classes(classes, class_names=class_names, templates=templates)
        return self
