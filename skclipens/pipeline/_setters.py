"""Parameters of a pipeline, and its classes if these are set by their names."""

from sklearn.utils.metaestimators import available_if

from .._utils._docstrings import fill_doc
from .._utils._sklearn import unchanged_by_failure
from ..ensemble import AdaptiveBackboneEnsemble
from ..ensemble._without_labels import start_by_names


class SettersMixin:
    """Mixin for a pipeline whose errors name parameters of steps, and that takes other classes."""

    def set_params(self, **params):
        """Set parameters of the pipeline or of its steps.

        Parameters
        ----------
        **params : dict
            Parameters of the pipeline; ``STEP`` for a step; ``STEP__PARAMETER`` for one of a step.

        Returns
        -------
        self
            The pipeline.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        if "steps" not in params and isinstance(self.steps, list):
            own = self.get_params(deep=False).keys() | {name for name, _ in self.steps}
            for name in params:
                if name.partition("__")[0] not in own:
                    raise ValueError(self._advice_on(name))
        return super().set_params(**params)

    def _advice_on(self, name):
        """Return a message about a parameter that neither the pipeline nor a step has."""
        first, _, rest = name.partition("__")
        meant = [
            f"{step}__{given}"
            for given in (name, rest)
            for step, one in self.steps
            if hasattr(one, "get_params") and given.partition("__")[0] in one.get_params(deep=False)
        ]
        instead = f", such as {' or '.join(map(repr, meant))}" if meant else ""
        return (
            f"There is no step or parameter {first!r} of the pipeline, whose steps are "
            f"{', '.join(repr(step) for step, _ in self.steps)}: parameters of a step begin with "
            f"its name{instead}."
        )

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
