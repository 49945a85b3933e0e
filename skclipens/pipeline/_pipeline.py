"""A pipeline of scikit-learn for images."""

from numbers import Real

from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.metaestimators import available_if

from .._mistakes._series import rows_of_files
from .._utils._estimator import EstimatorMixin
from .._utils._known_labels import check_true_labels
from .._utils._metadata import keywords_of_fit
from .._utils._sample_arguments import check_lengths, warn_of_other_order
from .._utils._sklearn import routing_enabled
from ..embedding._image_columns import image_columns
from ._channels import warn_of_channels
from ._checks import check_before_images, warn_of_lost_index, warn_of_other_names
from ._fitting import SignatureOfLastStep, all_steps_or_none
from ._readable import ReadableMixin
from ._setters import SettersMixin

_DOC = """{summary}

Only if the last step has this method. If an embedder has ``on_error="nan"``, the result for an
image that cannot be read is NaN, or ``unreadable_label`` for labels, and one warning names all of
them.

Parameters
----------
X : collection of n images
    See :meth:`skclipens.MultiBackboneEmbedder.transform`.
**params : dict
    Passed to the last step, by scikit-learn's metadata routing where that is enabled.

Returns
-------
ndarray of shape {shape}
    A row for each image.

Raises
------
ImageError
    If an image cannot be read and ``on_error="raise"``; names the row and the file.
NotFittedError
    If the pipeline is not fitted.
"""


def _available(name):
    """Return a decorator for methods that need a method of the last step.

    For methods of Pipeline itself, Pipeline decides.
    """

    def check(self):
        owner = super(BackbonePipeline, self) if hasattr(Pipeline, name) else self._final_estimator
        return hasattr(owner, name)

    return available_if(check)


def _on_images(name, summary, shape):
    """Return a method that embeds images and calls this method of the last step."""

    def method(self, X, **params):
        return self._answer(name, X, params)

    method.__name__, method.__qualname__ = name, f"BackbonePipeline.{name}"
    method.__doc__ = _DOC.format(summary=summary, shape=shape)
    return _available(name)(method)


class BackbonePipeline(EstimatorMixin, ReadableMixin, SettersMixin, Pipeline):
    """A scikit-learn pipeline from images to an ensemble, or to any other estimator.

    It is a :class:`sklearn.pipeline.Pipeline` that also

    - checks as much as possible before it reads any image: the parameters of all steps, labels,
      weights, and whether heads, class names and prompts fit them;
    - passes DataFrames from step to step, whose columns have names. So an ensemble with
      ``blocks=None`` takes the backbones of its embedder, also if a search sets these;
    - has the ensemble's methods, which take images, and its fitted attributes, such as
      ``expert_names_``; but not ``cross_fit`` and ``fit_from``, which take embeddings;
    - leaves out images that cannot be read, if an embedder has ``on_error="nan"``.

    The embedder is a step, or in a :class:`~sklearn.compose.ColumnTransformer` that is the first
    step.

    Parameters
    ----------
    steps : list of (str, estimator)
        Names and estimators; see :class:`sklearn.pipeline.Pipeline`.
    transform_input : list of str, default=None
        See :class:`sklearn.pipeline.Pipeline`. Not used with ``on_error="nan"``.
    memory : str or object with the joblib.Memory interface, default=None
        Caches fitted transformers with their whole output, by the names of the files: a file that
        is overwritten keeps its old embedding. The ``cache`` of an embedder keeps single images,
        by their content.
    verbose : bool, default=False
        Whether to print the time that each step takes.
    submodels : bool, default=False
        Whether rows of a table that lack a picture are predicted by the other columns, if a
        ColumnTransformer is the first step, and an embedder in it has ``on_error="nan"``. The steps
        after it are fitted once more without each column of pictures, and without each combination
        of them, on all rows that have the rest: pattern submodels (Mercaldo and Blume, 2020).
        :meth:`score` then counts such rows, too, so a search cannot compare both values.
    unreadable_label : str, number or None, default=None
        What ``predict`` of a classifier returns for an image that cannot be read, if an embedder
        has ``on_error="nan"``. With None, ``predict`` returns an array of dtype object. With a
        label, such as "unreadable" or -1, scorers such as ``"accuracy"`` count the image as wrong;
        :meth:`score` leaves it out. It must be no class, and a string where labels are strings.

    Attributes
    ----------
    named_steps : Bunch
        The steps by name.
    classes_ : ndarray of shape (C,)
        Labels, if the last step is a classifier.
    n_features_in_ : int
        1 if the first step is an embedder: a column of images.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns; only if ``fit`` was passed a DataFrame.
    submodels_ : list of (lacks, columns, model)
        Fitted submodels, if ``submodels=True``.

    See Also
    --------
    skclipens.make_backbone_pipeline : Create one from names of backbones.
    skclipens.make_table_pipeline : Create one for a table.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skclipens import CLIPEmbedder
    >>> from skclipens.datasets import load_emoji
    >>> from skclipens.pipeline import BackbonePipeline
    >>> emoji = load_emoji()
    >>> X, y = emoji.filenames[::8], emoji.target[::8]
    >>> steps = [("embed", CLIPEmbedder("zoo/RN20")), ("classify", LogisticRegression())]
    >>> clf = BackbonePipeline(steps).fit(X, y)
    >>> clf.coef_.shape[1]
    128
    """

    _parameter_constraints: dict = {
        **Pipeline._parameter_constraints,
        "submodels": ["boolean"],
        "unreadable_label": [None, str, Real],
    }
    __metadata_request__fit = {"sample_weight": UNUSED, "groups": UNUSED}

    def __init__(
        self,
        steps,
        *,
        transform_input=None,
        memory=None,
        verbose=False,
        submodels=False,
        unreadable_label=None,
    ):
        super().__init__(steps, transform_input=transform_input, memory=memory, verbose=verbose)
        self.submodels = submodels
        self.unreadable_label = unreadable_label

    def __getitem__(self, ind):
        """Return a step, or a pipeline of some steps, as :class:`sklearn.pipeline.Pipeline`."""
        part = super().__getitem__(ind)
        if isinstance(ind, slice):
            part.unreadable_label = self.unreadable_label
            part._types_of_columns = self._types_of_columns
        return part

    @SignatureOfLastStep
    @all_steps_or_none
    def fit(self, X, y=None, *, sample_weight=None, groups=None, **params):
        """Embed the images and fit the steps, after checking parameters and labels.

        Parameters
        ----------
        X : collection of n images
            See :meth:`skclipens.MultiBackboneEmbedder.transform`.
        y : array-like of shape (n,), default=None
            Labels, or target values of the last step.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows, for the last step.
        groups : array-like of shape (n,), default=None
            Groups of the rows, for the last step; see
            :meth:`skclipens.AdaptiveBackboneEnsemble.fit`.
        **params : dict
            ``STEP__PARAMETER`` for any step, as in :class:`sklearn.pipeline.Pipeline`. With
            scikit-learn's metadata routing enabled, all parameters go to the steps that request
            them.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If parameters, labels or images do not fit each other, or ``unreadable_label`` is a
            class or of another type than the labels.
        TypeError
            If the last step cannot take weights or groups, or they are given twice.
        ImageError
            If an image cannot be read and ``on_error="raise"``, or none can.

        Warns
        -----
        SuspectedMistakeWarning
            If pictures fit prompts far better with red and blue exchanged, for which about 20 are
            embedded again, classes differ in left and right alone, which ``views="mirror"`` makes
            alike, or a transformer of a table loses the index of its rows. Steps may warn, too.
        """
        after, params = self._before_fit(X, y, params, sample_weight=sample_weight, groups=groups)
        if after is None:
            columns = image_columns(self.steps[0][1], X)
            with rows_of_files(columns[0].images if columns else None):
                super().fit(X, y, **params)
        else:
            self._fit_readable(after, X, y, params)
        warn_of_lost_index(self.steps[0][1], X)
        warn_of_channels(self, X, y)
        return self

    @_available("fit_transform")
    @all_steps_or_none
    def fit_transform(self, X, y=None, *, sample_weight=None, groups=None, **params):
        """Fit the steps, and transform the same images; each image is embedded once.

        Parameters
        ----------
        X : collection of n images
            See :meth:`skclipens.MultiBackboneEmbedder.transform`.
        y : array-like of shape (n,), default=None
            As in :meth:`fit`.
        sample_weight : array-like of shape (n,), default=None
            As in :meth:`fit`.
        groups : array-like of shape (n,), default=None
            As in :meth:`fit`.
        **params : dict
            As in :meth:`fit`.

        Returns
        -------
        ndarray of shape (n, n_columns)
            The result of :meth:`transform`.
        """
        after, params = self._before_fit(X, y, params, sample_weight=sample_weight, groups=groups)
        if after is None:
            return super().fit_transform(X, y, **params)
        if not hasattr(self._final_estimator, "transform"):  # such as a TSNE
            return self._fit_and_answer("fit_transform", after, X, y, params)
        embedded, unreadable, _ = self._fit_readable(after, X, y, params)
        return self._answers_after(after, "transform", embedded, {}, unreadable, unreadable)

    @_available("fit_predict")
    @all_steps_or_none
    def fit_predict(self, X, y=None, *, sample_weight=None, groups=None, **params):
        """Fit the steps, and predict the same images, with a last step such as a clusterer.

        Parameters
        ----------
        X : collection of n images
            See :meth:`skclipens.MultiBackboneEmbedder.transform`.
        y : array-like of shape (n,), default=None
            As in :meth:`fit`.
        sample_weight : array-like of shape (n,), default=None
            As in :meth:`fit`.
        groups : array-like of shape (n,), default=None
            As in :meth:`fit`.
        **params : dict
            As in :meth:`fit`.

        Returns
        -------
        ndarray of shape (n,)
            What the last step predicts; ``unreadable_label`` for an image that cannot be read.
        """
        after, params = self._before_fit(X, y, params, sample_weight=sample_weight, groups=groups)
        if after is None:
            return super().fit_predict(X, y, **params)
        return self._fit_and_answer("fit_predict", after, X, y, params)

    predict = _on_images("predict", "Predict labels or values.", "(n,)")
    predict_proba = _on_images("predict_proba", "Predict probabilities of classes.", "(n, C)")
    predict_log_proba = _on_images("predict_log_proba", "Predict log-probabilities.", "(n, C)")
    decision_function = _on_images(
        "decision_function", "Compute a score of each class.", "(n, C), or (n,) if C is 2"
    )
    score_samples = _on_images(
        "score_samples", "Score how familiar images are; low means unlike those of fit.", "(n,)"
    )
    transform = _on_images("transform", "Transform images with all steps.", "(n, n_columns)")
    expert_proba = _on_images(
        "expert_proba",
        "Predict probabilities by each expert, in the order of ``expert_names_``.",
        "(n, E, C)",
    )
    routing_weights = _on_images(
        "routing_weights",
        "Return the weight of each expert for each image; see ``expert_names_``.",
        "(n, E)",
    )
    in_distribution = _on_images(
        "in_distribution",
        "Return how much images are like the training images; 1 for most of these.",
        "(n,)",
    )

    @_available("score")
    def score(self, X, y=None, sample_weight=None, **params):
        """Score the predictions, without images that cannot be read unless submodels predict them.

        Parameters
        ----------
        X : collection of n images
            See :meth:`skclipens.MultiBackboneEmbedder.transform`.
        y : array-like of shape (n,), default=None
            True labels or values.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.
        **params : dict
            For steps that request them by scikit-learn's metadata routing.

        Returns
        -------
        float
            Score of the last step: of a classifier the accuracy, of a regressor R².

        Raises
        ------
        ImageError
            If an image cannot be read and ``on_error="raise"``, or none can.

        Warns
        -----
        SuspectedMistakeWarning
            As in :meth:`fit`.
        """
        if is_classifier(self):
            check_true_labels(self._final_estimator, y)
        for column in image_columns(self.steps[0][1], X):
            check_lengths(column.images, y=y, sample_weight=sample_weight)
            warn_of_other_names(self, column.images, y)
        warn_of_other_order(X, y=y, sample_weight=sample_weight)
        found = self._score(X, y, sample_weight, params)
        warn_of_channels(self, X, y)
        return found

    def set_output(self, *, transform=None):
        """Set the output container of :meth:`transform`; steps always get pandas DataFrames.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            None leaves it unchanged.

        Returns
        -------
        self
            The pipeline.
        """
        if hasattr(self._final_estimator, "set_output"):
            self._final_estimator.set_output(transform=transform)
        return self

    def __getattr__(self, name):
        # Fitted attributes of the last step, or its reason why it lacks a method.
        is_own = hasattr(type(self), name)
        if not name.startswith("_") and (is_own or name.endswith("_")):
            found = getattr(self._final_estimator, name)
            if not is_own:
                return found
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _before_fit(self, X, y, params, **metadata):
        """Check everything that needs no image.

        Returns the position of the step after an embedder with on_error="nan", or None; and the
        parameters of ``Pipeline.fit``, which include the given metadata for the last step.
        """
        name, last = self.steps[-1]
        prefix = "" if routing_enabled() else f"{name}__"
        metadata = {key: one for key, one in metadata.items() if one is not None}
        keywords = keywords_of_fit(last) if metadata and hasattr(last, "fit") else {}
        given = {f"{prefix}{keywords.get(key, key)}": one for key, one in metadata.items()}
        if twice := min(given.keys() & params.keys(), default=None):
            name = twice.removeprefix(prefix)
            raise TypeError(f"{name} is given twice, as {name} and as {twice}. Leave one out.")
        params = {**given, **params}
        check_before_images(self, X, y, params)
        return self._after_embedder(), params

    def _transformers(self):
        return [step for _, step in self.steps[:-1] if step not in (None, "passthrough")]
