"""Make pipelines from names of backbones."""

import inspect

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from .._utils._messages import nearest
from ..embedding import MultiBackboneEmbedder
from ..ensemble import AdaptiveBackboneEnsemble
from ._pipeline import BackbonePipeline


def make_backbone_pipeline(backbones, *, estimator=None, unreadable_label=None, **parameters):
    """Make a classifier of images from CLIP backbones.

    Parameters
    ----------
    backbones : str or list of str
        ``"zoo"`` for the five models that come with the package, ``"paper"`` for nine OpenAI
        models, or a list of them or of any others; see :class:`skclipens.backbones.Backbone`.
    estimator : estimator, default=None
        The last step, fitted on the embeddings: any classifier or regressor. None means an
        :class:`AdaptiveBackboneEnsemble`, which takes its blocks from the embedder.
    unreadable_label : str, number or None, default=None
        With ``on_error="nan"``, what ``predict`` of a classifier returns for an image that cannot
        be read; see :class:`skclipens.pipeline.BackbonePipeline`.
    **parameters : dict
        Parameters of :class:`MultiBackboneEmbedder` and, if `estimator` is None, of
        :class:`AdaptiveBackboneEnsemble`; parameters of both, such as ``n_jobs`` and ``verbose``,
        are passed to both. ``cache`` keeps embeddings of images and of prompts on disk, and
        ``memory`` keeps fitted heads. Set the pipeline's own memory by ``set_params(memory=...)``.

        ``features`` is by default ``"both"`` if the ensemble has ``head="auto"``, whose heads can
        use pooled features, and ``"projected"`` otherwise. The ensemble can also be `estimator`,
        the ``estimator`` in it or one of its ``estimators``; if it is fitted, the names of its
        columns decide. If a search changes ``head``, set ``features`` yourself: its default is
        chosen once, from the head given here.

    Returns
    -------
    BackbonePipeline
        With the steps ``multibackboneembedder`` and ``adaptivebackboneensemble``, or the name of
        the estimator's class in lower case.

    Raises
    ------
    TypeError
        If a parameter is unknown, or belongs to the ensemble although `estimator` replaces it.

    See Also
    --------
    make_table_pipeline : A classifier of tables with pictures and other columns.
    skclipens.pipeline.BackbonePipeline : The class of the returned pipeline.
    CascadeClassifier : Cheap backbones first.

    Examples
    --------
    >>> from skclipens import make_backbone_pipeline
    >>> from skclipens.datasets import load_emoji
    >>> from skclipens.model_selection import FewShotSplit
    >>> emoji = load_emoji()
    >>> X, y = emoji.filenames, emoji.target
    >>> train, test = next(FewShotSplit(n_shots=1, random_state=0).split(X, y))
    >>> backbones = ["zoo/RN20", "zoo/ViT-8"]
    >>> clf = make_backbone_pipeline(backbones, class_names=emoji.target_names)
    >>> clf.fit(X[train], y[train]).predict(X[test[:3]]).shape
    (3,)
    >>> clf.routing_weights(X[test[:3]]).shape[0]
    3
    """
    steps = make_pipeline(*embedder_and_estimator(backbones, estimator, parameters)).steps
    return BackbonePipeline(steps, unreadable_label=unreadable_label)


def embedder_and_estimator(backbones, estimator, parameters):
    """Return an embedder, and an estimator for its columns, from the parameters of both."""
    of_embedder = _parameters(MultiBackboneEmbedder) - {"backbones"}
    of_ensemble = _parameters(AdaptiveBackboneEnsemble)
    for name in parameters:
        _check_parameter(name, of_embedder, of_ensemble, estimator)
    if estimator is None:
        estimator = AdaptiveBackboneEnsemble(**_chosen(parameters, of_ensemble))
    if features := _features_for(estimator):
        parameters = {"features": features, **parameters}
    embedder = MultiBackboneEmbedder(backbones, **_chosen(parameters, of_embedder))
    embedder.set_output(transform="pandas")  # the pipeline sets it too, but steps may be used alone
    return embedder, estimator


def signature_with_parts(function):
    """Return a signature with all parameters instead of ``**parameters``, for completion."""
    own = inspect.signature(function)
    found = {name: one for name, one in own.parameters.items() if one.kind is not one.VAR_KEYWORD}
    for kind in (MultiBackboneEmbedder, AdaptiveBackboneEnsemble):
        for name, one in inspect.signature(kind).parameters.items():
            found.setdefault(name, one.replace(kind=one.KEYWORD_ONLY))
    found["features"] = found["features"].replace(default=None)  # it depends on the heads
    return own.replace(parameters=list(found.values()))


def _features_for(estimator, is_part=False):
    """Return which features an estimator uses if not the projected alone: default heads do.

    If it is fitted, the names of its columns tell. Parts are fitted anew, unless they are frozen.
    """
    kept = not is_part or isinstance(estimator, FrozenEstimator)
    if kept and hasattr(estimator, "n_features_in_"):
        names = " ".join(map(str, getattr(estimator, "feature_names_in_", ())))
        return "all" if "@intermediate" in names else "both" if "@pooled" in names else None
    if isinstance(estimator, AdaptiveBackboneEnsemble):
        return "both" if _is_auto(estimator.head) else None
    parts = [getattr(estimator, "estimator", None)]  # of a search
    several = getattr(estimator, "estimators", None)  # that vote, or are stacked
    pairs = several if isinstance(several, (list, tuple)) else []
    parts += [pair[1] for pair in pairs if isinstance(pair, tuple) and len(pair) == 2]
    found = [_features_for(part, is_part=True) for part in parts if part is not None]
    return next(filter(None, found), None)


def _is_auto(head):
    """Return whether `head` is or contains "auto", with which the ensemble chooses heads."""
    heads = head if isinstance(head, (list, tuple)) else [head]
    return any(isinstance(one, str) and one == "auto" for one in heads)


def _parameters(kind):
    return set(kind().get_params(deep=False))


def _chosen(parameters, names):
    return {name: value for name, value in parameters.items() if name in names}


def _check_parameter(name, of_embedder, of_ensemble, estimator):
    known = of_embedder if estimator is not None else of_embedder | of_ensemble
    if name in known:
        return
    if name in of_ensemble:
        raise TypeError(
            f"{name!r} is a parameter of AdaptiveBackboneEnsemble, which estimator={estimator!r} "
            "replaces. Set it on the estimator, or leave estimator out."
        )
    similar = nearest({name}, sorted(known))
    hint = f"did you mean {similar!r}?" if similar else f"it takes {', '.join(sorted(known))}."
    raise TypeError(f"There is no parameter {name!r}; {hint}")


make_backbone_pipeline.__signature__ = signature_with_parts(make_backbone_pipeline)
