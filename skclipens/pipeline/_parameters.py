"""Parameters of a pipeline, by names that begin with those of its steps."""


class ParametersMixin:
    """Mixin for a pipeline whose errors say how parameters of its steps are named."""

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
