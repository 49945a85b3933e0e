"""Tests of make_backbone_pipeline: real image files to labels, with scikit-learn's own tools."""

import pickle

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder, make_backbone_pipeline
from skclipens.datasets import load_emoji
from skclipens.model_selection import FewShotSplit

BACKBONES = ["zoo/RN20", "zoo/ViT-8"]
N_CLASSES, PER_CLASS = 4, 8


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
def y(pictures):
    return pictures["label"].to_numpy()


def make(backbones=BACKBONES, **parameters):
    defaults = dict(head="linear", random_state=0, cv=2)
    return make_backbone_pipeline(backbones, **{**defaults, **parameters})


def test_the_zoo_learns_from_one_picture_of_each_class(paths, y):
    train, test = next(FewShotSplit(n_shots=1, random_state=0).split(paths, y))
    clf = make_backbone_pipeline("zoo")
    clf.fit([paths[i] for i in train], y[train])
    images = [paths[i] for i in test]
    p = clf.predict_proba(images)
    assert p.shape == (28, N_CLASSES)
    assert_array_equal(clf.predict(images), np.unique(y)[p.argmax(axis=1)])
    assert clf[-1].judged_.sum() == 5


def test_is_the_embedder_followed_by_the_ensemble(paths, y):
    clf = make().fit(paths, y)
    embedder = MultiBackboneEmbedder(BACKBONES)
    ensemble = AdaptiveBackboneEnsemble(BACKBONES, head="linear", random_state=0, cv=2)
    X = embedder.fit_transform(paths)
    assert_allclose(
        clf.predict_proba(paths), ensemble.fit(X, y).predict_proba(X), rtol=1e-3, atol=1e-6
    )
    assert_array_equal(clf.classes_, np.unique(y))


def test_any_form_of_image_will_do(pictures, paths, y):
    from PIL import Image

    clf = make().fit(pictures["path"], pictures["label"])
    expected = clf.predict_proba(paths)
    for images in ([Image.open(path) for path in paths], pictures[["path"]], np.array(paths)):
        assert_allclose(clf.predict_proba(images), expected, rtol=1e-4, atol=1e-6)


# Parameters


def test_parameters_reach_the_step_that_has_them():
    clf = make(precision="fp32", batch_size=7, device="cpu", verbose=True, head="auto", cv=3)
    embedder, ensemble = clf
    assert embedder.backbones == ensemble.blocks == BACKBONES
    assert (embedder.precision, embedder.batch_size, embedder.verbose) == ("fp32", 7, True)
    assert (ensemble.head, ensemble.cv) == ("auto", 3)


def test_unknown_parameter_is_named():
    with pytest.raises(TypeError, match="unexpected keyword argument 'haed'"):
        make_backbone_pipeline("zoo", haed="linear")


def test_unknown_backbone_is_named(paths, y):
    with pytest.raises(ValueError, match="The zoo has no model 'RN21'"):
        make(["zoo/RN21"]).fit(paths, y)


def test_memory_keeps_embeddings_between_fits(tmp_path, paths, y):
    memory = joblib.Memory(tmp_path, verbose=0)
    first = make(memory=memory).fit(paths, y)
    assert first.memory is memory
    again = make(memory=memory, router="static").fit(paths, y)
    assert_array_equal(again[0].transform(paths), first[0].transform(paths))
    # One call of fit_transform was kept, and the second fit read it.
    assert len(list(tmp_path.rglob("output.pkl"))) == 1


# scikit-learn's tools


def test_grid_search_over_heads_and_routers(paths, y):
    grid = {
        "adaptivebackboneensemble__head": ["zero-shot", LogisticRegression()],
        "adaptivebackboneensemble__router": ["static", "nlc"],
    }
    splitter = FewShotSplit(n_shots=2, n_repeats=2, random_state=0)
    search = GridSearchCV(make(), grid, cv=splitter, error_score="raise").fit(paths, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores.shape == (4,)
    assert search.best_score_ == scores.max()
    best = search.best_estimator_.get_params()
    assert {name: str(best[name]) for name in grid} == {
        name: str(value) for name, value in search.best_params_.items()
    }
    assert set(search.predict(paths[:3])) <= set(y)


def test_parameters_of_the_head_can_be_searched(paths, y):
    clf = make(head=LogisticRegression())
    clf.set_params(adaptivebackboneensemble__head__C=0.25).fit(paths, y)
    assert [head.C for _, head, _ in clf[-1].experts_] == [0.25, 0.25]


def test_cross_validation_of_the_pipeline_is_that_of_its_embeddings(paths, y):
    splitter = FewShotSplit(n_shots=4, n_repeats=2, random_state=0)
    clf = make()
    scores = cross_val_score(clf, paths, y, cv=splitter, error_score="raise")
    X = clf[0].fit_transform(paths)
    assert_allclose(scores, cross_val_score(clf[-1], X, y, cv=splitter), atol=0.1)
    p = cross_val_predict(clf, paths, y, cv=2, method="predict_proba")
    assert_allclose(p.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    "classifier", [AdaptiveBackboneEnsemble(head="auto", cv=2), LogisticRegression()], ids=repr
)
def test_images_as_one_column_of_a_table(classifier, pictures, y):
    columns = ColumnTransformer(
        [
            ("image", MultiBackboneEmbedder(BACKBONES), "path"),
            ("rest", StandardScaler(), ["weight", "price"]),
        ]
    ).set_output(transform="pandas")
    clf = make_pipeline(columns, classifier).fit(pictures, y)
    assert set(clf.predict(pictures)) <= set(y)
    # Price tells the classes apart, so that whoever reads it learns them.
    assert clf.score(pictures, y) > 0.6
    names = clf[:-1].get_feature_names_out()
    assert list(names[[0, 255, 256]]) == [
        "image__zoo/RN20__0",
        "image__zoo/ViT-8__127",
        "rest__weight",
    ]


def test_ensemble_reads_blocks_of_a_column_transformer(pictures, y):
    embedder = MultiBackboneEmbedder(BACKBONES)
    columns = make_column_transformer((embedder, "path"), (StandardScaler(), ["weight", "price"]))
    ensemble = AdaptiveBackboneEnsemble(head="auto", cv=2)
    clf = make_pipeline(columns.set_output(transform="pandas"), ensemble).fit(pictures, y)
    blocks = [f"multibackboneembedder__{name}" for name in BACKBONES]
    assert list(clf[-1].expert_names_) == [
        *(f"{name}:residual" for name in blocks),
        "other:linear",
        "all:linear-all",
    ]


def test_set_output_does_not_change_predictions(paths, y):
    plain, framed = make().fit(paths, y), make().set_output(transform="pandas").fit(paths, y)
    assert list(framed[0].transform(paths[:1]).columns) == list(framed[-1].feature_names_in_)
    assert_array_equal(framed.predict_proba(paths), plain.predict_proba(paths))


def test_clone_is_unfitted_and_fits_the_same(paths, y):
    clf = make().fit(paths, y)
    copy = clone(clf)
    assert not hasattr(copy[-1], "classes_")
    assert_array_equal(copy.fit(paths, y).predict_proba(paths), clf.predict_proba(paths))


@pytest.mark.parametrize("router", ["static", "shrunk", "nlc"])
@pytest.mark.parametrize("head", ["auto", "linear"])
def test_saved_pipelines_are_small_and_hold_no_torch(head, router, paths, y, tmp_path):
    clf = make(head=head, router=router).fit(paths, y)
    expected = clf.predict_proba(paths)
    data = pickle.dumps(clf)
    assert b"torch" not in data
    assert_array_equal(pickle.loads(data).predict_proba(paths), expected)
    file = tmp_path / "clf.joblib"
    joblib.dump(clf, file)
    assert file.stat().st_size < 10e6
    assert_array_equal(joblib.load(file).predict_proba(paths), expected)


def test_html_repr_shows_both_steps():
    html = make()._repr_html_()
    assert "MultiBackboneEmbedder" in html
    assert "AdaptiveBackboneEnsemble" in html
    assert "zoo/ViT-8" in html
