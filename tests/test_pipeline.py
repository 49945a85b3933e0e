"""Tests of pipelines from real image files to labels, with scikit-learn's own tools."""

import copy
import inspect
import pickle
import shutil
from collections.abc import Sequence
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from _said import no_warning, said
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image, ImageOps
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    BaggingClassifier,
    IsolationForest,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import BayesianRidge, LogisticRegression, Ridge
from sklearn.manifold import TSNE
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    PredefinedSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.multiclass import OutputCodeClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils.validation import has_fit_parameter

from skclipens import (
    AdaptiveBackboneEnsemble,
    ImageError,
    LinearDiscriminantHead,
    MultiBackboneEmbedder,
    ResidualHead,
    make_backbone_pipeline,
    zoo,
)
from skclipens._utils._metadata import METADATA
from skclipens.datasets import load_emoji
from skclipens.ensemble import NeuralLogitController
from skclipens.exceptions import SuspectedMistakeWarning
from skclipens.images import View, load_image
from skclipens.labels import OpenSetClassifier
from skclipens.model_selection import FewShotSplit
from skclipens.pipeline import BackbonePipeline

pytestmark = pytest.mark.usefixtures("short_training", "embedded_once")

BACKBONES = ["zoo/RN20", "zoo/ViT-8"]
N_CLASSES, PER_CLASS = 4, 8
# Images that cannot be read change the batches, and so the last digits of embeddings.
assert_close = partial(assert_allclose, rtol=1e-3, atol=1e-5)


@pytest.fixture(scope="module")
def pictures():
    """A frame of 32 picture files of 4 classes, with two numbers for each."""
    frame = load_emoji(as_frame=True).frame.groupby("label").head(PER_CLASS)
    frame = frame.head(N_CLASSES * PER_CLASS).sample(frac=1, random_state=0)
    rng = np.random.default_rng(0)
    return frame.assign(weight=rng.normal(5, 3, len(frame)), price=frame["target"] * 1.0)


@pytest.fixture(scope="module")
def paths(pictures):
    return pictures["path"].tolist()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Where embeddings are kept for all tests of this module."""
    return tmp_path_factory.mktemp("embeddings")


@pytest.fixture(scope="module")
def make(cache):
    """Make a pipeline with linear heads on two backbones."""

    def make(backbones=BACKBONES, estimator=None, **parameters):
        defaults = {} if estimator is not None else dict(head="linear", random_state=0, cv=2)
        parameters = {**defaults, "cache": cache, **parameters}
        return make_backbone_pipeline(backbones, estimator=estimator, **parameters)

    return make


@pytest.fixture(scope="module")
def fitted(make, paths, y):
    return make().fit(paths, y)


class CountedImages(Sequence):
    """Images that are opened when one is taken, and counted."""

    def __init__(self, paths):
        self.paths, self.n_taken = paths, 0

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        self.n_taken += 1
        return self.paths[i]


def test_the_zoo_learns_from_one_picture_of_each_class(paths, y):
    train, test = next(FewShotSplit(n_shots=1, random_state=0).split(paths, y))
    clf = make_backbone_pipeline("zoo")
    clf.fit([paths[i] for i in train], y[train])
    images = [paths[i] for i in test]
    p = clf.predict_proba(images)
    assert p.shape == (28, N_CLASSES)
    assert_array_equal(clf.predict(images), np.unique(y)[p.argmax(axis=1)])
    assert list(clf.expert_names_[~clf.validated_]) == ["all:linear-all"]


def test_is_the_embedder_followed_by_the_ensemble(fitted, cache, paths, y):
    embedder = MultiBackboneEmbedder(BACKBONES, cache=cache)
    ensemble = AdaptiveBackboneEnsemble(BACKBONES, head="linear", random_state=0, cv=2)
    X = embedder.fit_transform(paths)
    assert_allclose(
        fitted.predict_proba(paths), ensemble.fit(X, y).predict_proba(X), rtol=1e-3, atol=1e-6
    )
    assert_array_equal(fitted.classes_, np.unique(y))


def test_any_form_of_image_will_do(make, pictures, paths):
    from PIL import Image

    clf = make(cache=None).fit(pictures["path"], pictures["label"])
    expected = clf.predict_proba(paths)
    for images in ([Image.open(path) for path in paths], pictures[["path"]], np.array(paths)):
        assert_allclose(clf.predict_proba(images), expected, rtol=1e-4, atol=1e-6)


# Parameters


def test_parameters_reach_the_step_that_has_them(make):
    clf = make(precision="fp32", batch_size=7, device="cpu", verbose=True, n_jobs=2, head="auto")
    embedder, ensemble = clf
    assert isinstance(clf, BackbonePipeline)
    assert list(clf.named_steps) == ["multibackboneembedder", "adaptivebackboneensemble"]
    assert embedder.backbones == BACKBONES
    assert ensemble.blocks is None
    assert (embedder.precision, embedder.batch_size) == ("fp32", 7)
    assert ensemble.head == "auto"
    assert (embedder.verbose, ensemble.verbose) == (True, True)
    assert (embedder.n_jobs, ensemble.n_jobs) == (2, 2)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"haed": "linear"}, "'haed'; did you mean 'head'?"),
        ({"on_eror": "nan"}, "'on_eror'; did you mean 'on_error'?"),
        ({"quux": 1}, "'quux'; it takes batch_size, .*templates"),
        ({"haed": 1, "estimator": Ridge()}, "'haed'; it takes"),
        ({"head": "linear", "estimator": Ridge()}, r"'head' .* which estimator=Ridge\(\) replaces"),
    ],
)
def test_unknown_parameter_is_named(parameters, message):
    with pytest.raises(TypeError, match=message):
        make_backbone_pipeline("zoo", **parameters)


def test_memory_keeps_fitted_heads(make, tmp_path, paths, y):
    memory = joblib.Memory(tmp_path, verbose=0)
    clf = make(memory=memory).fit(paths, y)
    assert clf.memory is None
    assert clf[-1].memory is memory
    # The second has other routers on the same heads.
    make(memory=memory, router="static", n_jobs=2, verbose=True).fit(paths, y)
    assert len(list(tmp_path.rglob("output.pkl"))) == 1
    for verbose in (False, True):  # heads without held-out logits
        clf = make(memory=memory, router="uniform", calibrate=False, verbose=verbose)
        clf.fit(paths, y)
    assert len(list(tmp_path.rglob("output.pkl"))) == 2


def test_memory_of_the_pipeline_keeps_embeddings(make, fitted, tmp_path, paths, y):
    memory = joblib.Memory(tmp_path, verbose=0)
    for _ in range(2):
        clf = make(cache=None).set_params(memory=memory).fit(paths, y)
    assert len(list(tmp_path.rglob("output.pkl"))) == 1
    assert_array_equal(clf.predict(paths), fitted.predict(paths))


# Blocks in step with the embedder


def test_searched_backbones_get_their_own_texts(make, paths, y):
    candidates = [BACKBONES, BACKBONES[::-1], ["zoo/ViT-16", "zoo/DLA"], ["zoo/DLA"], "zoo"]
    grid = {"multibackboneembedder__backbones": candidates}
    clf, options = make(head="zero-shot"), {"cv": 2, "error_score": "raise"}
    search = GridSearchCV(clf, grid, **options).fit(paths, y)
    scores = search.cv_results_["mean_test_score"]
    built = [cross_val_score(make(one, head="zero-shot"), paths, y, cv=2) for one in candidates]
    assert_allclose(scores, np.mean(built, axis=1))
    assert scores[0] == scores[1]
    searched = search.best_params_["multibackboneembedder__backbones"]
    assert list(search.best_estimator_.expert_names_) == list(
        make(searched).fit(paths, y).expert_names_
    )


def test_blocks_are_those_of_a_step_that_was_replaced(make, cache, paths, y):
    other = MultiBackboneEmbedder(["zoo/DLA", "zoo/RN20"], cache=cache)
    clf = make(head="zero-shot").set_params(multibackboneembedder=other).fit(paths, y)
    assert list(clf.expert_names_) == ["zoo/DLA", "zoo/RN20"]
    # Other steps before and behind it keep the names.
    same, scale = ("same", FunctionTransformer(feature_names_out="one-to-one")), StandardScaler()
    clf = BackbonePipeline([same, clf.steps[0], ("scale", scale), clf.steps[1]])
    assert list(clf.fit(paths, y).expert_names_) == ["zoo/DLA", "zoo/RN20"]


def opened(paths):
    return np.stack([np.asarray(load_image(path)) for path in paths])


@pytest.mark.parametrize("on_error", ["raise", "nan"])
def test_a_step_before_the_embedder_may_return_any_images(make, on_error, paths, y):
    steps = make(on_error=on_error).steps
    clf = BackbonePipeline([("open", FunctionTransformer(opened)), *steps])
    with no_warning():
        clf.fit(paths, y)
    assert not hasattr(clf[0], "_sklearn_output_config")
    assert clf.score(paths, y) > 0.8


def test_another_embedder_after_fit_is_refused(fitted, paths):
    clf = copy.deepcopy(fitted).set_params(multibackboneembedder__backbones=BACKBONES[::-1])
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(paths)


def test_set_output_does_not_change_predictions(make, fitted, paths, y):
    for container in ("pandas", "polars", "default"):
        clf = make().set_output(transform=container).fit(paths, y)
        assert_array_equal(clf.predict_proba(paths), fitted.predict_proba(paths))
        assert_array_equal(np.asarray(clf.transform(paths)), fitted.transform(paths))
        assert container in (type(clf.transform(paths[:1])).__module__ + "default")
    assert list(clf[:-1].transform(paths[:1]).columns) == list(clf[-1].feature_names_in_)


# Before an image is read


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"head": "linnear"}, "head='linnear' is unknown"),
        ({"head": ["linear", "zeroshot"]}, "head='zeroshot' is unknown"),
        ({"head": ResidualHead("zoo/DLA")}, "needs blocks that are embeddings of zoo/DLA"),
        ({"router": "shrnk"}, "The 'router' parameter"),
        ({"router": NeuralLogitController(hidden_dim=0)}, "The 'hidden_dim' parameter"),
        ({"cv": 0.01}, "cv=0.01 cannot hold out rows of every class"),
        ({"cv": 0.01, "head": ["zero-shot", "linear"]}, "cv=0.01 cannot hold out rows"),
        ({"head": "zero-shot", "templates": ["a photo"]}, "one '{}'.* got 'a photo'"),
        ({"head": "zero-shot", "class_names": {"cat": "cat"}}, "class_names has no name for label"),
        ({"batch_size": 0}, "The 'batch_size' parameter"),
        ({"device": "tpu:0"}, "device"),
        ({"backbones": ["zoo/RN21"]}, "The zoo has no model 'RN21'"),
        ({"estimator": LogisticRegression(C=-1)}, "The 'C' parameter"),
        ({"head": ["auto", ResidualHead(alpha=-1)]}, "The 'alpha' parameter of ResidualHead"),
        ({"head": OutputCodeClassifier(LogisticRegression())}, "neither decision_function"),
        ({"cv": [([0, 1, 2, 3], [3, 4])]}, "Fold 0 of cv has 1 of its test rows in train"),
        ({"cv": [(range(16), range(16, 33))]}, "Fold 0 of cv does not fit X"),
        ({"cv": StratifiedKFold(30)}, "n_splits=30 cannot be greater than the number of members"),
        ({"memory": f"{__file__}/heads"}, r"memory='.*heads' cannot be made"),
        ({"on_error": "nan", "unreadable_label": "sick face"}, "'sick face' is a class"),
        ({"on_error": "nan", "unreadable_label": -1}, "unreadable_label must be a string"),
        ({"estimator": OpenSetClassifier(LogisticRegression(C=-1))}, "The 'C' parameter"),
        (
            {"estimator": OpenSetClassifier(AdaptiveBackboneEnsemble(head="linnear"))},
            "head='linnear' is unknown",
        ),
        (
            {"estimator": OpenSetClassifier(LinearDiscriminantHead(), reject_label="sick face")},
            "'sick face' is a class",
        ),
    ],
)
def test_parameters_are_checked_before_an_image_is_read(make, parameters, message, paths, y):
    images = CountedImages(paths)
    with pytest.raises((ValueError, RuntimeError), match=message):
        make(**parameters).fit(images, y)
    assert images.n_taken == 0


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"head": LogisticRegression(C=-1)}, "The 'C' parameter"),
        ({"router": NeuralLogitController(hidden_dim=0)}, "The 'hidden_dim' parameter"),
    ],
)
def test_parameters_of_an_ensemble_of_unknown_columns_are_checked_before(
    make, parameters, message, paths, y
):
    images, clf = CountedImages(paths), make(blocks=None, **parameters)
    clf = BackbonePipeline([("embed", clf[0]), ("pca", PCA(2)), ("last", clf[1])])
    with pytest.raises(ValueError, match=message):
        clf.fit(images, y)
    assert images.n_taken == 0


@pytest.mark.parametrize("parameters", [{"head": "zero-shot"}, {"calibrate": False}])
def test_folds_are_not_checked_where_nothing_is_held_out(make, parameters, paths, y):
    clf = make(cv=0.01, router="uniform", **parameters).fit(paths, y)
    assert set(clf.predict(paths)) == set(y)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda y: None, "the target y is None"),
        (lambda y: y[:-1], "inconsistent numbers of samples"),
        (lambda y: "label", "y is a str. Give a list, an array or a column"),
        (lambda y: 10, "y is a int. Give a list, an array or a column"),
        (
            lambda y: np.where(y == y[3], "", y),
            "y has no label for 8 of 32 rows; the first is row 3",
        ),
        (lambda y: np.unique(y, return_inverse=True)[1], "Give class_names"),
        (lambda y: np.full(len(y), "cat"), "At least two classes"),
        (lambda y: np.linspace(0, 1, len(y)), "Unknown label type"),
    ],
)
def test_labels_are_checked_before_an_image_is_read(make, change, message, paths, y):
    images = CountedImages(paths)
    with pytest.raises(ValueError, match=message):
        make(head="zero-shot").fit(images, change(y))
    assert images.n_taken == 0


def test_a_vocabulary_out_of_place_is_told_before_an_image_is_read(paths, y, tmp_path):
    folder = shutil.copytree(zoo.VOCABULARY.parent / "weights" / "RN20", tmp_path / "own" / "RN20")
    images = CountedImages(paths)
    with pytest.raises(ValueError, match=r"'bpe_path'.*outside of its folder"):
        make_backbone_pipeline(str(folder)).fit(images, y)
    assert images.n_taken == 0
    make_backbone_pipeline(str(folder), head="linear").fit(images, y)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda y: [None, *y[1:]], "y has no label for 1 of 32 rows; the first is row 0"),
        (lambda y: pd.Series(y).where(np.arange(len(y)) != 3), "the first is row 3, with nan"),
        (lambda y: [*y[:3], pd.NA, *y[4:]], "the first is row 3, with <NA>"),
        (lambda y: pd.Series([pd.NA, *y[1:]], dtype="string"), "the first is row 0, with <NA>"),
        (lambda y: np.linspace(0, 1, len(y)), "Unknown label type"),
    ],
)
@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        CalibratedClassifierCV(LogisticRegression(), ensemble=False),
        StackingClassifier([("one", GridSearchCV(LogisticRegression(), {"C": [1]}))]),
    ],
)
def test_labels_of_other_classifiers_are_checked_before_too(estimator, change, message, paths, y):
    images = CountedImages(paths)
    clf = make_backbone_pipeline("zoo/RN20", estimator=estimator)
    with pytest.raises(ValueError, match=message) as refused:
        clf.fit(images, change(y))
    assert images.n_taken == 0
    assert "test rows" not in str(refused.value)


def test_other_classifiers_take_labels_of_their_own(paths, y):
    clf = make_backbone_pipeline("zoo/RN20", estimator=LogisticRegression())
    for labels in (np.arange(len(y)) % 3 - 1, np.arange(len(y)) % 2 * 2 - 1):
        clf.fit(paths, labels)
    several = make_backbone_pipeline("zoo/RN20", estimator=KNeighborsClassifier())
    assert several.fit(paths, np.stack([y, y], axis=1)).predict(paths).shape == (len(y), 2)
    some = np.where(np.arange(len(y)) % 4 == 0, -1, np.unique(y, return_inverse=True)[1])
    spread = SelfTrainingClassifier(LogisticRegression())
    clf = make_backbone_pipeline("zoo/RN20", estimator=spread).fit(paths, some)
    assert -1 not in clf.predict(paths)
    among_strings = np.where(some == -1, -1, y.astype(object))
    assert set(clf.fit(paths, among_strings).predict(paths)) <= set(y)


def test_labels_to_score_are_checked_before_an_image_is_read(paths, y):
    clf = make_backbone_pipeline("zoo/RN20", head="linear", random_state=0).fit(paths, y)
    images = CountedImages(paths)
    for labels, weights, message in (
        (y[:-1], None, "inconsistent numbers of samples"),
        (y, np.ones(3), "sample_weight has 3 values, but X has 32 rows"),
        (np.unique(y, return_inverse=True)[1], None, "where those of fit are such as"),
    ):
        with pytest.raises(ValueError, match=message):
            clf.score(images, labels, weights)
    assert images.n_taken == 0


def test_parameters_of_steps_are_pointed_at(make, paths, y):
    clf, embedder, last = make(), "multibackboneembedder", "adaptivebackboneensemble"
    for name, meant in (
        ("head", f"such as '{last}__head'"),
        ("embedder__backbones", f"such as '{embedder}__backbones'"),
        ("ensemble__head__alpha", f"such as '{last}__head__alpha'"),
        ("verbosity", f"whose steps are '{embedder}', '{last}': .* with its name\\.$"),
    ):
        with pytest.raises(ValueError, match=f"no step or parameter .*{meant}"):
            clf.set_params(**{name: ["linear"]})
    search = GridSearchCV(clf, {"head": ["linear"]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match=f"such as '{last}__head'"):
        search.fit(paths, y)
    both = {"steps": [("one", clf[0]), ("two", clf[1])], "two__head": "linear"}
    assert clf.set_params(**both)[1].head == "linear"


@pytest.mark.parametrize("wrong", ["about 3", None, np.nan, np.inf])
def test_amounts_are_checked_before_an_image_is_read(paths, wrong):
    images, clf = CountedImages(paths), make_backbone_pipeline("zoo/RN20", estimator=Ridge())
    amounts = [*range(len(paths) - 1), wrong]
    for y in (amounts, pd.Series(amounts), [[one, 1] for one in amounts]):
        with pytest.raises(ValueError, match=f"^y has .* in row {len(paths) - 1}, where the last"):
            clf.fit(images, y)
    assert images.n_taken == 0


LEFT_OR_RIGHT = np.array(["left eye", "right_Eye"])


def fit_sides(names=LEFT_OR_RIGHT, codes=None, **parameters):
    pictures = [Image.open(path).convert("RGB") for path in load_emoji().filenames[:20]]
    pictures += [ImageOps.mirror(picture) for picture in pictures]
    labels = np.repeat(names if codes is None else codes, len(pictures) // len(names))
    clf = make_backbone_pipeline("zoo/RN20", head="linear", random_state=0, **parameters)
    return clf.fit(pictures, labels), pictures


@pytest.mark.parametrize(
    "parameters",
    [
        {"views": "mirror"},
        {"views": [View((0, 0, 0.3, 1)), View((0.7, 0, 1, 1), mirror=True)]},
        {"views": "mirror", "names": ["keep left", "keep right", "stop", "yield"]},
        {"views": "mirror", "codes": [0, 1], "class_names": LEFT_OR_RIGHT},
        {"views": "mirror", "codes": [0, 1], "class_names": dict(enumerate(LEFT_OR_RIGHT))},
    ],
)
def test_views_that_make_left_and_right_alike_are_doubted(parameters):
    with pytest.warns(SuspectedMistakeWarning, match=r"differ in left and right alone, and views="):
        clf, pictures = fit_sides(**parameters)
    proba = clf.predict_proba(pictures)
    assert_allclose(proba[:20], proba[20:], atol=1e-4)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"views": "both"},
        {"views": "crops"},
        {"views": "mirror", "keep_plain": True},
        {"views": [View(), View((0, 0, 0.5, 1), mirror=True)]},
        {"views": "mirror", "names": ["left eye", "right hand"]},
        {"views": "mirror", "names": ["bright eye", "eye", "an eye", "leftover"]},
        {"views": "mirror", "codes": [0, 1]},
        {"views": "mirror", "codes": [0, 1], "class_names": ["left eye", "eye", "right eye"]},
    ],
)
def test_views_and_names_of_sides_that_are_not_doubted(parameters):
    assert not any("differ in left" in text for text in said(partial(fit_sides, **parameters)))


@pytest.mark.parametrize(
    "parameters, metadata, error, message",
    [
        ({}, {"sample_weight": [1.0]}, ValueError, "sample_weight has 1 values, but X has 32 rows"),
        ({}, {"sample_weight": np.zeros(32)}, ValueError, "zero"),
        (
            {"unlabeled": "ignore"},
            {"sample_weight": np.ones(31)},
            ValueError,
            "inconsistent numbers of samples",
        ),
        ({"unlabeled": "ignore"}, {"groups": np.zeros(31)}, ValueError, "inconsistent numbers"),
        ({}, {"groups": np.zeros(31)}, ValueError, "groups has 31 values, but X has 32 rows"),
        (
            {"cv": StratifiedGroupKFold(2)},
            {},
            ValueError,
            "splits by groups, so the 'groups' parameter should not be None. Pass groups",
        ),
        ({}, {"groups": "patient"}, ValueError, "groups is a str. Give a list, an array or a col"),
        ({}, {"sample_weight": "weight"}, ValueError, "sample_weight is a str. Give a list, an ar"),
        ({"estimator": Ridge()}, {"groups": np.zeros(32)}, TypeError, "fit of Ridge: .*'groups'"),
        (
            {},
            {"groups": np.arange(32), "adaptivebackboneensemble__groups": np.arange(32) // 2},
            TypeError,
            "groups is given twice, as groups and as adaptivebackboneensemble__groups",
        ),
        (
            {},
            {"adaptivebackboneensemble__wieghts": np.ones(32)},
            TypeError,
            "fit of AdaptiveBackboneEnsemble: .*'wieghts'",
        ),
    ],
)
def test_metadata_is_checked_before_an_image_is_read(
    make, parameters, metadata, error, message, paths, y
):
    images = CountedImages(paths)
    with pytest.raises(error, match=message):
        make(**parameters).fit(images, y, **metadata)
    assert images.n_taken == 0


def test_checks_do_not_draw_from_the_random_state(make, fitted, paths, y):
    clf = make(random_state=np.random.RandomState(0)).fit(paths, y)
    X, ensemble = clf[:-1].transform(paths), make(random_state=np.random.RandomState(0))[-1]
    assert_array_equal(clf.predict_proba(paths), ensemble.fit(X, y).predict_proba(X))


# Methods and attributes of the last step


def test_the_ensemble_is_seen_through_the_pipeline(fitted, paths):
    X, ensemble = fitted[:-1].transform(paths), fitted[-1]
    for method in ("routing_weights", "expert_proba", "transform", "predict_log_proba"):
        assert_array_equal(getattr(fitted, method)(paths), getattr(ensemble, method)(X))
    for name in ("expert_names_", "validated_", "temperatures_", "experts_", "router_"):
        assert getattr(fitted, name) is getattr(ensemble, name)
    assert_array_equal(fitted.get_feature_names_out(), ensemble.get_feature_names_out())


def test_every_method_of_the_ensemble_is_one_of_the_pipeline():
    def methods(kind):
        found = inspect.getmembers(kind, callable)
        return {name for name, _ in found if not name.startswith("_") and "request" not in name}

    # Held-out logits are of rows of a table, and files are of what was embedded already.
    of_tables = {"cross_fit", "fit_from"}
    assert methods(AdaptiveBackboneEnsemble) - of_tables <= methods(BackbonePipeline)


def test_other_classes_can_be_set(make, paths, y):
    clf = make(head="zero-shot").fit(paths, y)
    assert clf.set_classes(["sun", "cat", "flag"], templates=["a {}"]) is clf
    assert list(clf.classes_) == ["cat", "flag", "sun"]
    assert clf.predict_proba(paths[:2]).shape == (2, 3)


def test_classes_can_be_set_before_any_image_is_seen(make, paths, tmp_path):
    named, names = {"head": "zero-shot", "router": "uniform", "calibrate": False}, ["sun", "cat"]
    clf = make(**named).set_classes(names, templates=["a {}"])
    fitted = make(**named, class_names=names, templates=["a {}"]).fit(paths[:1])
    assert_array_equal(clf.predict_proba(paths), fitted.predict_proba(paths))
    assert list(clf.classes_) == ["cat", "sun"] and list(clf.predict([paths[0]])) == ["sun"]
    joblib.dump(clf, tmp_path / "model")
    assert_array_equal(joblib.load(tmp_path / "model").predict(paths), fitted.predict(paths))
    unfitted = make(head="zero-shot")
    with pytest.raises(
        NotFittedError, match=r"is not fitted\. To set classes without rows, set router="
    ):
        unfitted.set_classes(names)
    assert not hasattr(unfitted, "classes_")


def test_images_are_named_without_labels(make, paths):
    named = {"head": "zero-shot", "class_names": ["sun", "cat", "flag"]}
    clf = make(**named, router="uniform", calibrate=False, on_error="nan")
    with pytest.warns(UserWarning, match="1 of 4 images cannot be read"):
        clf.fit([*paths[:3], None])
    assert set(clf.predict(paths)) <= {"sun", "cat", "flag"}
    images = CountedImages(paths)
    with pytest.raises(ValueError, match="To do without labels, set calibrate=False"):
        make(**named, router="uniform").fit(images)
    assert images.n_taken == 0


def test_there_is_nothing_that_the_last_step_does_not_have(make, fitted):
    unfitted = make(router="vote")
    assert not hasattr(unfitted, "expert_names_")
    with pytest.raises(AttributeError, match="no attribute 'routing_weights'") as raised:
        _ = unfitted.routing_weights
    assert "router='vote' combines experts without" in str(raised.value.__cause__)
    assert not hasattr(unfitted, "n_features_in_")
    assert not hasattr(fitted, "feature_names_in_")  # the embedder has seen no frame
    assert fitted.n_features_in_ == 1
    for name in ("no_such_thing", "no_such_thing_", "_private_", "inverse_transform"):
        with pytest.raises(AttributeError, match=name):
            getattr(fitted, name)
    ridge = make(estimator=Ridge())
    for name in ("predict_proba", "expert_proba", "set_classes", "transform", "fit_transform"):
        assert not hasattr(ridge, name)
    assert hasattr(ridge, "predict")
    assert not hasattr(BackbonePipeline.__new__(BackbonePipeline), "steps")


@pytest.mark.parametrize("estimator", [LogisticRegression(), Ridge()], ids=repr)
def test_any_estimator_reads_the_embeddings(make, estimator, pictures, paths):
    target = pictures["target"].to_numpy()
    clf = make(estimator=estimator).fit(paths, target)
    assert list(clf.named_steps)[1] == type(estimator).__name__.lower()
    assert clf.coef_.shape[-1] == 256
    assert list(clf[-1].feature_names_in_[[0, 255]]) == ["zoo/RN20__0", "zoo/ViT-8__127"]
    assert is_classifier(clf) is is_classifier(estimator)
    assert is_regressor(clf) is is_regressor(estimator)
    assert clf.score(paths, target) > 0.5


class Nearest(ClassifierMixin, BaseEstimator):
    """A stranger's classifier, with no more than scikit-learn asks for."""

    def fit(self, X, y):
        self.classes_, self.rows_, self.labels_ = np.unique(y), np.asarray(X), y
        return self

    def predict(self, X):
        return self.labels_[(np.asarray(X) @ self.rows_.T).argmax(axis=1)]


class EqualRouter(BaseEstimator):
    """A stranger's router."""

    def weights(self, X, logits):
        return np.ones(logits.shape[:2])


def test_estimators_of_others_will_do(make, paths, y):
    assert make(estimator=Nearest()).fit(paths, y).score(paths, y) == 1
    with pytest.raises(TypeError, match=r"fit of Nearest: .*'sample_weight'"):
        make(estimator=Nearest()).fit(paths, y, sample_weight=np.ones(32))
    assert_array_equal(make(router=EqualRouter()).fit(paths, y).routing_weights(paths), 1)


def test_images_are_compared_with_those_of_fit(make, paths, y):
    clf = make(head="auto").fit(paths, y)
    found = clf.in_distribution([*paths, np.full((64, 64, 3), [255, 0, 0], np.uint8)])
    assert_array_equal(found, [*clf[-1].in_distribution(clf[0].transform(paths)), 0])
    assert found[:-1].min() > 0
    assert not hasattr(make(out_of_distribution="ignore").fit(paths, y), "in_distribution")


# Images that cannot be read


@pytest.fixture
def broken(paths, y, tmp_path):
    """The pictures with two more that cannot be read, their labels, and where the two are."""
    file = tmp_path / "broken.png"
    file.write_bytes(b"no picture")
    return [paths[0], str(file), *paths[1:], None], np.array([y[0], "none", *y[1:], y[0]], object)


GAPS = np.isin(np.arange(34), [1, 33])
WARNING = r"2 of 34 images cannot be read and {}: row 1 \('.*broken.png'\), row 33\."


def test_rows_that_cannot_be_read_are_left_out_of_fit(make, fitted, broken, paths):
    images, labels = broken
    images[1] = np.str_(images[1])  # as a list of an array's values has it
    weights, groups = np.ones(34), np.arange(34)
    with pytest.warns(UserWarning, match=WARNING.format("are left out")) as caught:
        clf = make(on_error="nan").fit(images, labels)
        make(on_error="nan").fit(images, labels, sample_weight=weights, groups=groups)
        make(on_error="nan").fit(images, labels, adaptivebackboneensemble__sample_weight=weights)
    assert [one.filename for one in caught] == [__file__] * 3
    assert_array_equal(clf.classes_, fitted.classes_)
    assert_array_equal(clf.predict_proba(paths), fitted.predict_proba(paths))


def test_a_score_needs_labels(fitted, make, paths):
    with pytest.raises(ValueError, match="y is None, and y should be a 1d array"):
        fitted.score(paths)
    clusters = make(estimator=KMeans(2, n_init=1, random_state=0)).fit(paths)
    assert clusters.score(paths) < 0


def test_a_clusterer_takes_weights(make, paths):
    weights = np.linspace(0.1, 5, len(paths))
    clusterer = make(estimator=KMeans(3, n_init=1, random_state=0))
    found = clusterer.fit_predict(paths, sample_weight=weights)
    assert_array_equal(found, clusterer.fit(paths, sample_weight=weights).predict(paths))
    with pytest.raises(TypeError, match="groups"):
        clusterer.fit_predict(paths, groups=np.arange(len(paths)))


@pytest.mark.filterwarnings("ignore:2 of 34 images")
@pytest.mark.parametrize("kind", [list, np.array, pd.Series])
def test_weights_that_sum_to_one_are_shares_of_what_can_be_read(make, broken, kind):
    images, labels = broken
    weights = np.random.default_rng(0).uniform(0.5, 1.5, 34)
    weights[~GAPS] /= weights[~GAPS].mean()
    clf = make(on_error="nan", head="linear", random_state=0)
    expected = clf.fit(images, labels, sample_weight=weights).predict_proba(images[2:9])
    found = clf.fit(images, labels, sample_weight=kind(weights / weights.sum()))
    assert_allclose(found.predict_proba(images[2:9]), expected, rtol=1e-4)


@pytest.mark.parametrize("kind", [list, np.array, pd.Series])
def test_a_class_of_which_no_image_can_be_read_is_named(make, paths, y, kind):
    images, labels = [*paths, "no.png", "no.png"], kind([*y.tolist(), "owl", y[0]])
    told = "No other image shows 'owl', of which nothing is learned"
    with pytest.warns(UserWarning, match=told):
        clf = make(on_error="nan").fit(images, labels)
    assert "owl" not in clf.classes_
    with pytest.warns(UserWarning, match="2 of 34 images cannot be read") as caught:
        unlabeled = [*y.tolist(), None, y[0]]
        make(on_error="nan", unlabeled="ignore").fit(images, unlabeled)
        make(on_error="nan", estimator=Ridge()).fit(images, np.arange(len(images)))
    assert not any("No other" in str(one.message) for one in caught)


def test_splits_of_all_rows_and_rows_that_cannot_be_read(make, broken):
    """Rows move up where some are left out: splits would be of other rows."""
    images, labels = broken
    labels[1] = labels[0]
    splits = [(np.arange(8, 30), np.arange(8)), (np.arange(22), np.arange(22, 30))]
    told = "cv holds splits of all 34 rows, but 2 images"
    parts = PredefinedSplit(np.arange(34) % 3)
    for cv in (splits, np.array([[np.arange(17), np.arange(17, 34)]]), parts):
        with pytest.warns(), pytest.raises(ValueError, match=told):
            make(cv=cv, on_error="nan").fit(images, labels)
    within = OpenSetClassifier(AdaptiveBackboneEnsemble(head="linear", cv=splits))
    with pytest.warns(), pytest.raises(ValueError, match="__estimator__cv holds splits of all 34"):
        make(estimator=within, on_error="nan").fit(images, labels)
    readable = [image for image, gap in zip(images, GAPS, strict=True) if not gap]
    make(cv=splits, on_error="nan").fit(readable, labels[~GAPS])
    with pytest.warns(UserWarning, match="are left out"):
        make(cv=GroupKFold(2), on_error="nan").fit(images, labels, groups=np.arange(34) // 2)


def test_rows_that_cannot_be_read_get_no_answer(make, fitted, broken, paths, y):
    images, labels = broken
    clf = make(on_error="nan").fit(paths, y)
    methods = ["predict_proba", "predict_log_proba", "decision_function", "transform"]
    for method in [*methods, "expert_proba", "routing_weights", "predict"]:
        with pytest.warns(
            UserWarning, match=WARNING.format("get (None.*, or use score.|NaN.*)")
        ) as caught:
            answers = getattr(clf, method)(images)
        assert [one.filename for one in caught] == [__file__]
        of_scores = "fits to NaN, such as a threshold" in str(caught[0].message)
        assert of_scores == (method in methods[:3])
        agree = assert_array_equal if method == "predict" else assert_close
        agree(answers[~GAPS], getattr(fitted, method)(paths))
        if method == "predict":
            assert answers.dtype == object
            assert answers[GAPS].tolist() == [None, None]
        else:
            assert np.isnan(answers[GAPS]).all()
    with pytest.warns(UserWarning, match=WARNING.format("do not count")):
        assert clf.score(images, labels) == fitted.score(paths, y)
    with no_warning():
        assert clf.predict(paths).dtype == fitted.predict(paths).dtype


@pytest.mark.filterwarnings("ignore:.*cannot be read")
@pytest.mark.parametrize(
    ("as_labels", "label", "dtype"),
    [(str, "unreadable, all the same", "U"), (str, None, "O"), (None, -1, "i")],
)
def test_a_label_says_that_an_image_cannot_be_read(make, broken, as_labels, label, dtype):
    images, labels = broken
    labels = labels.astype(str) if as_labels else np.unique(labels, return_inverse=True)[1]
    clf = clone(make(on_error="nan", head="linear", unreadable_label=label)).fit(images, labels)
    answers = clf.predict(images)
    assert answers.dtype.kind == dtype
    assert answers[GAPS].tolist() == [label, label]
    assert set(answers[~GAPS].tolist()) <= set(np.unique(labels).tolist())
    if dtype in "Ui":
        right = get_scorer("accuracy")(clf, images, labels)
        assert right == pytest.approx(clf.score(images, labels) * 32 / 34)  # those two are wrong


@pytest.mark.filterwarnings("ignore:2 of 34 images")
def test_the_label_of_what_cannot_be_read_is_no_class(make, broken):
    images, labels = broken
    numbers = np.unique(labels, return_inverse=True)[1]
    given = [(labels, labels[0], "is a class"), (labels, -1, "must be a string")]
    given += [(numbers, "?", "must be a number"), (numbers - 1, -1, "is a class")]
    for y, label, told in given:
        clf = make(estimator=LogisticRegression(), on_error="nan", unreadable_label=label)
        with pytest.raises(ValueError, match=told) as error:
            clf.fit(images, y)
        assert "unreadable_label" in str(error.value)
        assert not hasattr(clf, "classes_")
        clf.set_params(unreadable_label=None).fit(images, y).set_params(unreadable_label=label)
        with pytest.raises(ValueError, match=told):
            clf.predict(images)
    several = make(estimator=MultiOutputClassifier(LogisticRegression()), on_error="nan")
    several.set_params(unreadable_label=0)
    with pytest.raises(ValueError, match="0 is a class"):
        several.fit(images, np.column_stack([numbers + 1, numbers]))


@pytest.mark.filterwarnings("ignore:2 of 34 images")
@pytest.mark.parametrize("container", ["default", "pandas", "polars"])
def test_fit_transform_has_rows_of_nan(make, fitted, broken, paths, container):
    clf = make(on_error="nan").set_output(transform=container)
    for values in (clf.fit_transform(*broken), clf.transform(broken[0])):
        assert container in (type(values).__module__ + "default")
        assert np.isnan(np.asarray(values)[GAPS]).all()
        assert_close(np.asarray(values)[~GAPS], fitted.transform(paths))


@pytest.mark.filterwarnings("ignore:2 of 34 images")
@pytest.mark.parametrize("container", ["default", "pandas", "polars"])
def test_a_last_step_without_transform_has_rows_of_nan(make, broken, paths, container):
    last = TSNE(perplexity=5, random_state=0).set_output(transform=container)
    values = make(estimator=last, on_error="nan").fit_transform(broken[0])
    assert container in (type(values).__module__ + "default")
    assert container != "pandas" or values.index.tolist() == list(range(len(GAPS)))
    assert_array_equal(np.isnan(np.asarray(values)).all(axis=1), GAPS)
    assert_close(np.asarray(values)[~GAPS], make(estimator=last).fit_transform(paths))


@pytest.mark.parametrize(
    "estimator", [IsolationForest(random_state=0), OpenSetClassifier(LinearDiscriminantHead())]
)
def test_an_image_that_cannot_be_read_is_not_scored(make, broken, paths, y, estimator):
    clf = make(estimator=estimator, on_error="nan").fit(paths, y)
    with pytest.warns(UserWarning, match=WARNING.format("get NaN")) as caught:
        scores = clf.score_samples(broken[0])
    assert [one.filename for one in caught] == [__file__]
    assert_array_equal(np.isnan(scores), GAPS)
    assert_close(scores[~GAPS], make(estimator=estimator).fit(paths, y).score_samples(paths))


@pytest.mark.parametrize("label", [None, -1])
def test_an_image_that_cannot_be_read_is_in_no_cluster(make, broken, paths, label):
    clusterer = KMeans(3, n_init=1, random_state=0)
    clf = make(estimator=clusterer, on_error="nan", unreadable_label=label)
    with pytest.warns(UserWarning, match=WARNING.format("are left out")):
        answers = clf.fit_predict(broken[0])
    assert answers[GAPS].tolist() == [label, label]
    expected = make(estimator=clusterer).fit_predict(paths)
    assert_array_equal(answers[~GAPS].astype(int), expected)
    with no_warning():
        assert_array_equal(clf.fit_predict(paths), expected)


@pytest.mark.filterwarnings("ignore:2 of 34 images")
def test_a_regressor_predicts_nan_for_what_cannot_be_read(make, broken):
    images, target = broken[0], np.arange(34.0)
    clf = make(estimator=Ridge(), on_error="nan").fit(images, target)
    assert_array_equal(np.isnan(clf.predict(images)), GAPS)
    assert clf.score(images, target) > 0


@pytest.mark.filterwarnings("ignore:2 of 34 images")
def test_each_part_of_an_answer_is_nan_for_what_cannot_be_read(make, broken):
    images, labels = broken
    clf = make(estimator=MultiOutputClassifier(LogisticRegression()), on_error="nan")
    answers = clf.fit(images, np.column_stack([labels, labels])).predict_proba(images)
    assert isinstance(answers, list)
    clf = make(estimator=BayesianRidge(), on_error="nan").fit(images, np.arange(34.0))
    mean_and_spread = clf.predict(images, return_std=True)
    assert isinstance(mean_and_spread, tuple)
    for part in (*answers, *mean_and_spread):
        gaps = np.isnan(np.asarray(part).reshape(34, -1))
        assert_array_equal(gaps.all(axis=1), GAPS)
        assert_array_equal(gaps.any(axis=1), GAPS)


def test_all_images_that_cannot_be_read(make, fitted, broken, paths, y):
    images = [broken[0][1], None]
    message = r"None of the 2 .*: row 0 \('.*png'\), .* Row 0: .*not an image file"
    with pytest.raises(ImageError, match=message):
        make(on_error="nan").fit(images, ["cat", "dog"])
    clf = make(on_error="nan").fit(paths, y)
    with pytest.warns(UserWarning, match="2 of 2 images") as caught:
        assert clf.predict(images).tolist() == [None, None]
    assert len(caught) == 1
    with pytest.raises(ImageError, match="row 1: None"):  # before any image is read
        fitted.predict(images)
    with pytest.raises(ImageError, match="row 33: None"):
        make().fit(*broken)


# Weights and groups


def test_a_pipeline_takes_what_its_last_step_takes(make, paths, y):
    def names(estimator):
        pipeline = make(estimator=estimator)
        assert set(METADATA) <= set(inspect.signature(type(pipeline).fit).parameters)
        assert isinstance(pickle.loads(pickle.dumps(pipeline.fit)).__self__, BackbonePipeline)
        return [name for name in METADATA if has_fit_parameter(pipeline, name)]

    assert names(LinearDiscriminantHead()) == names(GridSearchCV(Ridge(), {})) == list(METADATA)
    assert names(Ridge()) == ["sample_weight"]
    assert names(LinearDiscriminantAnalysis()) == []
    clf, images = make(estimator=LinearDiscriminantAnalysis()), np.array(paths, object)[:, None]
    bag = BaggingClassifier(clf, n_estimators=2, random_state=0).fit(images, y)
    plain = BaggingClassifier(make_pipeline(*clf), n_estimators=2, random_state=0).fit(images, y)
    assert_allclose(bag.predict_proba(images), plain.predict_proba(images), atol=1e-6)
    with pytest.warns(UserWarning, match="does not appear to accept sample_weight"):
        CalibratedClassifierCV(clf, cv=2).fit(paths, y, sample_weight=np.ones(32))


def test_weights_and_groups_reach_the_last_step(make, paths, y):
    weights, groups = np.arange(1.0, 33), np.arange(32) // 2
    X = make()[0].transform(paths)
    expected = make()[-1].fit(X, y, sample_weight=weights, groups=groups).predict_proba(X)
    plain = make().fit(paths, y, sample_weight=weights, groups=groups)
    named = make().fit(
        paths,
        y,
        adaptivebackboneensemble__sample_weight=weights,
        adaptivebackboneensemble__groups=groups,
    )
    for clf in (plain, named):
        assert_array_equal(clf.predict_proba(paths), expected)
    ridge = make(estimator=Ridge()).fit(paths, np.arange(32), sample_weight=weights)
    assert_allclose(ridge.coef_, Ridge().fit(X, np.arange(32), sample_weight=weights).coef_)
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    nested = make(estimator=clone(inner)).fit(paths, y, sample_weight=weights)
    inner.fit(X, y, logisticregression__sample_weight=weights)
    assert_allclose(nested.predict_proba(paths), inner.predict_proba(X), rtol=1e-4)


@pytest.mark.parametrize("on_error", ["raise", "nan"])
def test_metadata_routing(make, on_error, paths, y):
    metadata = {"sample_weight": np.arange(1.0, 33), "groups": np.arange(32) // 2}
    expected = make().fit(paths, y, **metadata).predict_proba(paths)
    clf = make(on_error=on_error)
    with sklearn.config_context(enable_metadata_routing=True):
        clf[-1].set_fit_request(sample_weight=True, groups=True)
        clf[-1].set_score_request(sample_weight=True)
        assert_array_equal(clone(clf).fit(paths, y, **metadata).predict_proba(paths), expected)
        options = {"params": metadata, "error_score": "raise"}
        scores = cross_validate(clf, paths, y, cv=GroupKFold(2), **options)["test_score"]
        options["params"] = {"groups": metadata["groups"]}
        plain = cross_validate(clf, paths, y, cv=GroupKFold(2), **options)["test_score"]
    assert scores.tolist() != plain.tolist()


@pytest.mark.parametrize("on_error", ["raise", "nan"])
def test_metadata_routing_past_a_last_step_that_passes_through(make, on_error, paths):
    weights = np.arange(32.0)
    with sklearn.config_context(enable_metadata_routing=True):
        scale = StandardScaler().set_fit_request(sample_weight=True)
        clf = make(estimator=scale, on_error=on_error)
        expected = clf.fit_transform(paths, sample_weight=weights)
        longer = BackbonePipeline([*clone(clf).steps, ("last", "passthrough")])
        found = longer.fit_transform(paths, sample_weight=weights)
    assert_array_equal(found, expected)


def test_metadata_that_nobody_asked_for_is_refused_before_an_image_is_read(make, paths):
    images = CountedImages(paths)
    with (
        sklearn.config_context(enable_metadata_routing=True),
        pytest.raises(UnsetMetadataPassedError, match="sample_weight"),
    ):
        make(estimator=Ridge()).fit(images, np.arange(32), sample_weight=np.ones(32))
    assert images.n_taken == 0


# scikit-learn's tools


def test_grid_search_over_heads_and_routers(make, paths, y):
    grid = {
        "adaptivebackboneensemble__head": ["zero-shot", LogisticRegression()],
        "adaptivebackboneensemble__router": ["static", "nlc"],
    }
    splitter = FewShotSplit(n_shots=2, n_splits=2, random_state=0)
    search = GridSearchCV(make(), grid, cv=splitter, error_score="raise").fit(paths, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores.shape == (4,)
    assert search.best_score_ == scores.max()
    best = search.best_estimator_.get_params()
    assert {name: str(best[name]) for name in grid} == {
        name: str(value) for name, value in search.best_params_.items()
    }
    assert set(search.predict(paths[:3])) <= set(y)


def test_parameters_of_the_head_can_be_searched(make, paths, y):
    clf = make(head=LogisticRegression())
    clf.set_params(adaptivebackboneensemble__head__C=0.25).fit(paths, y)
    assert [head.C for _, head, _ in clf.experts_] == [0.25, 0.25]


def test_cross_validation_of_the_pipeline_is_that_of_its_embeddings(make, paths, y):
    splitter = FewShotSplit(n_shots=4, n_splits=2, random_state=0)
    clf = make()
    scores = cross_val_score(clf, paths, y, cv=splitter, error_score="raise")
    X = clf[0].fit_transform(paths)
    assert_allclose(scores, cross_val_score(clf[-1], X, y, cv=splitter))
    p = cross_val_predict(clf, paths, y, cv=2, method="predict_proba")
    assert_allclose(p.sum(axis=1), 1, rtol=1e-5)


def test_ensemble_inside_other_models_of_a_pipeline(make, pictures, paths, y):
    ensemble = make()[-1]
    stack = StackingClassifier([("ensemble", ensemble), ("logistic", LogisticRegression())], cv=2)
    clf = make(estimator=stack).fit(paths, y)
    assert clf.score(paths, y) > 0.6
    assert list(clf.named_estimators_["ensemble"].expert_names_) == BACKBONES

    price = pictures["target"].to_numpy()
    regressor = make_pipeline(make_union(ensemble, PCA(3)), Ridge())
    clf = make(estimator=regressor).fit(paths, price)
    assert is_regressor(clf)
    assert clf.score(paths, price) > 0.6
    assert clf[-1][-1].coef_.shape == (2 * N_CLASSES + 3,)


@pytest.mark.parametrize(
    "classifier", [AdaptiveBackboneEnsemble(head="auto", cv=2), LogisticRegression()], ids=repr
)
def test_images_as_one_column_of_a_table(classifier, cache, pictures, y):
    columns = ColumnTransformer(
        [
            ("image", MultiBackboneEmbedder(BACKBONES, cache=cache), "path"),
            ("rest", StandardScaler(), ["weight", "price"]),
        ]
    )
    clf = BackbonePipeline([("columns", columns), ("classifier", classifier)]).fit(pictures, y)
    assert set(clf.predict(pictures)) <= set(y)
    # Price tells the classes apart, so that whoever reads it learns them.
    assert clf.score(pictures, y) > 0.6
    names = clf[:-1].get_feature_names_out()
    assert list(names[[0, 255, 256]]) == [
        "image__zoo/RN20__0",
        "image__zoo/ViT-8__127",
        "rest__weight",
    ]
    assert "path" in clf.feature_names_in_


def test_ensemble_reads_blocks_of_a_column_transformer(cache, pictures, y):
    embedder = MultiBackboneEmbedder(BACKBONES, cache=cache)
    columns = make_column_transformer((embedder, "path"), (StandardScaler(), ["weight", "price"]))
    ensemble = AdaptiveBackboneEnsemble(head="auto", cv=2)
    clf = make_pipeline(columns.set_output(transform="pandas"), ensemble).fit(pictures, y)
    blocks = [f"multibackboneembedder__{name}" for name in BACKBONES]
    assert list(clf[-1].expert_names_) == [
        *(f"{name}:{head}" for head in ("zero-shot", "kernel") for name in blocks),
        "other:linear",
        "other:forest",
        "all:linear-all",
    ]


def test_clone_is_unfitted_and_fits_the_same(fitted, paths, y):
    cloned = clone(fitted)
    assert not hasattr(cloned, "expert_names_")
    assert_array_equal(cloned.fit(paths, y).predict_proba(paths), fitted.predict_proba(paths))


@pytest.mark.parametrize("router", ["static", "shrunk", "nlc"])
@pytest.mark.parametrize("head", ["auto", "linear"])
def test_saved_pipelines_are_small_and_hold_no_torch(make, head, router, paths, y, tmp_path):
    clf = make(head=head, router=router).fit(paths, y)
    expected = clf.predict_proba(paths)
    data = pickle.dumps(clf)
    assert b"torch." not in data
    assert_array_equal(pickle.loads(data).predict_proba(paths), expected)
    assert_array_equal(copy.copy(clf).routing_weights(paths), clf.routing_weights(paths))
    file = tmp_path / "clf.joblib"
    joblib.dump(clf, file)
    assert file.stat().st_size < 10e6
    assert_array_equal(joblib.load(file).predict_proba(paths), expected)


def test_repr_shows_both_steps(make, fitted):
    for clf in (make(), fitted):
        html = clf._repr_html_()
        assert "MultiBackboneEmbedder" in html
        assert "AdaptiveBackboneEnsemble" in html
        assert "zoo/ViT-8" in html
    assert repr(fitted).startswith("BackbonePipeline(steps=[('multibackboneembedder',")


@pytest.mark.parametrize(
    ("parameters", "n_kinds"),
    [
        ({}, 2),
        ({"head": "auto"}, 2),
        ({"head": ["auto", "tip-adapter"]}, 2),
        ({"head": ["auto"]}, 2),  # as the command gives it
        ({"features": "projected"}, 1),
        ({"head": "linear"}, 1),
        ({"estimator": LogisticRegression()}, 1),
        ({"estimator": AdaptiveBackboneEnsemble()}, 2),
        ({"estimator": AdaptiveBackboneEnsemble(head="linear")}, 1),
        ({"estimator": OpenSetClassifier(AdaptiveBackboneEnsemble())}, 2),
        ({"estimator": OpenSetClassifier(AdaptiveBackboneEnsemble()), "features": "projected"}, 1),
        ({"estimator": VotingClassifier([("one", AdaptiveBackboneEnsemble())])}, 2),
        ({"estimator": StackingClassifier([("one", AdaptiveBackboneEnsemble())])}, 2),
        ({"estimator": VotingClassifier([("one", LogisticRegression())])}, 1),
        ({"estimator": VotingClassifier(None)}, 1),
    ],
)
def test_pooled_features_stand_beside_where_the_ensemble_chooses_heads(parameters, n_kinds):
    (_, embedder), _ = make_backbone_pipeline("zoo/RN20", **parameters).steps
    assert len(embedder._blocks()) == n_kinds


def test_the_last_step_may_pass_through(paths, y):
    clf = make_backbone_pipeline("zoo/RN20").set_params(adaptivebackboneensemble="passthrough")
    found = clf.fit(paths, y).transform(paths)
    np.testing.assert_array_equal(found, clf[0].transform(paths))
    for last in ("passthrough", None):
        clf.set_params(adaptivebackboneensemble=last)
        with pytest.raises(TypeError, match="passes through, and takes no 'sample_weight'"):
            clf.fit(paths, y, sample_weight=np.ones(len(y)))


@pytest.mark.parametrize("features", ["projected", "both"])
def test_an_ensemble_that_is_fitted_gets_the_features_that_it_knows(features, paths, y):
    first = make_backbone_pipeline("zoo/RN20", features=features, random_state=0).fit(paths, y)
    expected = first.predict_proba(paths)
    for estimator in (first[-1], FrozenEstimator(first[-1])):
        clf = make_backbone_pipeline("zoo/RN20", estimator=estimator)
        assert_array_equal(clf.predict_proba(paths), expected)
    calibrated = CalibratedClassifierCV(FrozenEstimator(first[-1]))
    clf = make_backbone_pipeline("zoo/RN20", estimator=calibrated).fit(paths, y)
    assert clf[-1].n_features_in_ == first[-1].n_features_in_


def test_help_shows_the_parameters_that_are_passed_on():
    shown = inspect.signature(make_backbone_pipeline).parameters
    for kind in (MultiBackboneEmbedder, AdaptiveBackboneEnsemble):
        own = {name: one.default for name, one in inspect.signature(kind).parameters.items()}
        of_shown = {name: shown[name].default for name in own}
        differ = {name for name, default in own.items() if of_shown[name] != default}
        assert differ <= {"backbones", "features", "n_jobs"}
    assert not {one.kind for one in shown.values()} & {inspect.Parameter.VAR_KEYWORD}
