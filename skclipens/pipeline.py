"""Embedder and ensemble as one classifier of images."""

from sklearn.pipeline import make_pipeline

from .embedding import MultiBackboneEmbedder
from .ensemble import AdaptiveBackboneEnsemble

__all__ = ["make_backbone_pipeline"]

_SHARED_PARAMETERS = ("n_jobs",)


def make_backbone_pipeline(backbones, *, memory=None, **parameters):
    """Make a classifier of images from CLIP backbones.

    Parameters
    ----------
    backbones : str or list of str
        ``"zoo"`` for the five models that come with the package, ``"paper"`` for nine OpenAI
        models, or a list of them or of any others; see :class:`skclipens.backbones.Backbone`.
    memory : str or object with the joblib.Memory interface, default=None
        Passed to :class:`sklearn.pipeline.Pipeline`.
    **parameters : dict
        Parameters of :class:`MultiBackboneEmbedder` and of :class:`AdaptiveBackboneEnsemble`;
        ``n_jobs`` goes to both.
        The ensemble refuses the rows of NaN that ``on_error="nan"`` makes: put a filter or an
        imputer between the two.

    Returns
    -------
    sklearn.pipeline.Pipeline
        With the steps ``multibackboneembedder`` and ``adaptivebackboneensemble``.

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
    """
    known = MultiBackboneEmbedder().get_params()
    for_embedder = {key: value for key, value in parameters.items() if key in known}
    for_ensemble = {
        key: value
        for key, value in parameters.items()
        if key not in known or key in _SHARED_PARAMETERS
    }
    return make_pipeline(
        MultiBackboneEmbedder(backbones, **for_embedder),
        AdaptiveBackboneEnsemble(backbones, **for_ensemble),
        memory=memory,
    )
