"""The adaptive ensemble: a router that weighs the experts of each row."""

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, StrOptions

from .._utils._docstrings import fill_doc
from ._base import BaseBackboneEnsemble
from ._gates import ShrunkRouter
from ._nlc import NeuralLogitController
from ._routers import StaticRouter, UniformRouter, combine

_ROUTERS = {
    "shrunk": ShrunkRouter,
    "static": StaticRouter,
    "uniform": UniformRouter,
    "nlc": NeuralLogitController,
}


@fill_doc(calibrate_default="True")
class AdaptiveBackboneEnsemble(BaseBackboneEnsemble):
    r"""Classify by experts on several backbones, trusting each as far as the row deserves.

    An expert is a head (zero-shot prompts, a linear probe, any classifier) on a block of columns
    (the embedding of one backbone). A router gives every expert a weight for every row;
    the ensemble's logits are the weighted sum of the experts' calibrated logits,
    :math:`z(x) = \sum_e a_e(x) z_e(x) / T_e` [1]_. Temperatures and router are fitted on logits
    of rows that the heads have not seen.

    Parameters
    ----------
    %(blocks)s
    %(head)s
    router : {"shrunk", "static", "uniform", "nlc"} or router, default="shrunk"
        How experts are weighed.

        - ``"nlc"``: the Neural Logit Controller of [1]_, a network that reads all columns;
        - ``"static"``: one weight per expert, the same for all rows, fitted with a penalty that
          holds it near the logit average;
        - ``"uniform"``: the calibrated logit average, in which all experts weigh the same;
        - ``"shrunk"``: static weights plus a gate per expert that reads its confidence, margin,
          entropy and agreement with the mean of all, and the leading components of the columns.
          The gates are shrunk by an amount that cross-validated log-loss chooses, and stay shut
          where they do not pay;
        - a router with parameters of its own, such as
          ``NeuralLogitController(hidden_dim=32)``; see :mod:`skclipens.ensemble`.
    %(cv)s
    %(calibrate)s
    %(class_names)s
    %(templates)s
    %(memory)s
    %(n_jobs)s
    random_state : int, RandomState instance or None, default=None
        Determines folds, and what heads given by name and the router draw.

    Attributes
    ----------
    %(fitted)s
    router_ : object
        The fitted router.
    n_iter_ : int
        Iterations or epochs that the router was fitted for.

    See Also
    --------
    make_backbone_pipeline : A classifier of images that embeds them first.

    References
    ----------
    %(paper)s
    %(guo)s

    Examples
    --------
    The paper's recipe is ``head="zero-shot", router="nlc"``, and with linear heads
    ``head="linear", router="nlc", cv=0.1``. On any table:

    >>> from sklearn.datasets import load_wine
    >>> from skclipens import AdaptiveBackboneEnsemble
    >>> X, y = load_wine(return_X_y=True)
    >>> blocks = [("first", slice(0, 6)), ("rest", slice(6, None))]
    >>> clf = AdaptiveBackboneEnsemble(blocks, head="linear", random_state=0).fit(X, y)
    >>> clf.routing_weights(X).shape
    (178, 2)
    """

    _parameter_constraints: dict = {
        **BaseBackboneEnsemble._parameter_constraints,
        "router": [StrOptions(set(_ROUTERS)), HasMethods(["fit", "weights"])],
    }

    def __init__(
        self,
        blocks=None,
        *,
        head="auto",
        router="shrunk",
        cv=5,
        calibrate=True,
        class_names=None,
        templates=None,
        memory=None,
        n_jobs=None,
        random_state=None,
    ):
        super().__init__(
            blocks,
            head=head,
            cv=cv,
            calibrate=calibrate,
            class_names=class_names,
            templates=templates,
            memory=memory,
            n_jobs=n_jobs,
            random_state=random_state,
        )
        self.router = router

    def _make_router(self):
        router = _ROUTERS[self.router]() if isinstance(self.router, str) else clone(self.router)
        if getattr(router, "random_state", 0) is None:
            seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
            router.set_params(random_state=seed)
        return router

    def _fit_combination(self, X, logits, y):
        router = self._make_router() if len(y) else UniformRouter()
        self.router_ = router.fit(X, logits, y)
        self.n_iter_ = router.n_iter_

    def _combine(self, X, logits):
        return combine(self.router_.weights(X, logits), logits)

    def routing_weights(self, X):
        """How far each expert is trusted for each row.

        Parameters
        ----------
        X : array-like of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n, E)
            Weights of the calibrated logits, experts in the order of ``expert_names_``. Those of
            gates (``router="shrunk"``, ``GatedRouter``) may be negative, no others are.
        """
        X = self._checked(X)
        logits = self._expert_logits(X)
        n_unjudged = max(np.sum(~self.judged_), 1)
        weights = np.full(logits.shape[:2], 1 / n_unjudged, logits.dtype)
        weights[:, self.judged_] = self.router_.weights(X, logits[:, self.judged_])
        return weights
