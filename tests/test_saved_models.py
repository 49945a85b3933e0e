"""Saved estimators: the versions that they carry, files of earlier releases, and skops."""

import copy
import importlib
import inspect
import pickle
import pkgutil
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from _models import copy_of_zoo
from _said import no_warning
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.linear_model import LogisticRegression

import skclipens
from skclipens import (
    AdaptiveBackboneEnsemble,
    BackboneSelector,
    CascadeClassifier,
    CLIPEmbedder,
    EmbeddingStore,
    ImageRetriever,
    LinearDiscriminantHead,
    MultiBackboneEmbedder,
    ZeroShotHead,
    make_backbone_pipeline,
)
from skclipens._utils import _estimator, _versions
from skclipens._utils._warnings import each_warning_once
from skclipens.decomposition import BlockPCA
from skclipens.ensemble import GatedRouter, ShrunkRouter
from skclipens.ensemble._heads import HEADS
from skclipens.ensemble.routers import ROUTERS, combine, is_fixed
from skclipens.images import View
from skclipens.labels import OpenSetClassifier
from skclipens.model_selection import FewShotSplit
from skclipens.utils import skops_trusted_types
from tests.data.make_model import pictures

pytestmark = pytest.mark.usefixtures("short_training", "embedded_once")

FILES = sorted((Path(__file__).parent / "data").glob("model-*.joblib"))
PAIR = ["zoo/RN20", "zoo/ViT-8"]
# Records that no fitted estimator has
IN_CALLS = {
    *(
        "Combination",
        "Embeddings",
        "HeldOut",
        "HeldOutPredictions",
        "ImageColumn",
        "KeptRows",
        "Loaded",
        "Picture",
    ),
    *("Plan", "PlannedBlock", "Plausible", "Rescaling", "Rows", "SumsOver"),
    *("PassRequest", "ReadAsScaled", "Task", "TrainingRows"),
}


@pytest.fixture(scope="module")
def table():
    X, y = pictures()
    return MultiBackboneEmbedder(PAIR).set_output(transform="pandas").fit_transform(X), y


@pytest.fixture
def other(monkeypatch):
    """Have estimators loaded under other versions of some libraries."""

    def pretend(others):
        now = {**_versions.versions(), **others}
        monkeypatch.setattr(_estimator, "versions", lambda: now)

    return pretend


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_files_of_releases_are_loaded(file):
    X, _ = pictures()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        kept = joblib.load(file)
    np.testing.assert_allclose(kept["model"].predict_proba(X[1::2]), kept["proba"], atol=1e-3)


def test_what_has_components_is_the_same_to_the_bit_after_pickling():
    rng = np.random.default_rng(0)
    X, logits = rng.normal(size=(100, 640)), rng.normal(size=(100, 2, 3))
    X, logits = X.astype(np.float32), logits.astype(np.float32)
    router = GatedRouter(0.01).fit(X, logits, np.arange(100) % 3)
    again = pickle.loads(pickle.dumps(router))
    np.testing.assert_array_equal(again.weights(X, logits), router.weights(X, logits))
    pca = BlockPCA(blocks=[("all", slice(None))], random_state=0).fit(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(pca)).transform(X), pca.transform(X))


def test_there_is_a_file_of_a_release():
    assert FILES
    assert all(str(Path.home()).encode() not in file.read_bytes() for file in FILES)


def test_the_same_versions_say_nothing(table):
    X, y = table
    clf = AdaptiveBackboneEnsemble().fit(X, y)
    with no_warning():
        again = pickle.loads(pickle.dumps(clf))
        copy.deepcopy(clf)
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    assert vars(again).keys() == vars(clf).keys()


def test_other_versions_are_named_with_both(table, other):
    content = pickle.dumps(LinearDiscriminantHead().fit(*table))
    now = _versions.versions()
    other({"scikit-learn": "99.9", "torch": "1.0"})
    with pytest.warns(InconsistentVersionWarning) as caught:
        pickle.loads(content)
    (message,) = [str(one.message) for one in caught]
    assert f"saved with scikit-learn {now['scikit-learn']}, torch {now['torch']} and" in message
    assert "LinearDiscriminantHead" in message
    assert "loaded with scikit-learn 99.9, torch 1.0" in message
    assert "skclipens" not in message
    assert caught[0].message.original_sklearn_version == now["scikit-learn"]
    other({"open_clip": "0.0", "skclipens": "0.0"})
    with pytest.warns(InconsistentVersionWarning, match=r"with skclipens 0\.0.*open_clip 0\.0"):
        pickle.loads(content)


def test_other_versions_are_told_once_where_each_warning_is(table, other):
    content = pickle.dumps(LinearDiscriminantHead().fit(*table))
    other({"torch": "1.0"})
    with pytest.warns(InconsistentVersionWarning) as caught, each_warning_once():
        for _ in range(2):
            assert pickle.loads(content).n_features_in_ == table[0].shape[1]
    assert len(caught) == 1


def test_builds_of_a_version_are_one_version():
    assert "+" not in "".join(_versions.versions().values())
    assert set(_versions.versions()) == {"skclipens", "scikit-learn", "torch", "open_clip"}


def test_every_estimator_carries_versions(table):
    X, y = table
    fitted = [
        make_backbone_pipeline(PAIR),
        CascadeClassifier(PAIR),
        BackboneSelector(),
        BlockPCA(),
        CLIPEmbedder(),
        ImageRetriever(),
        OpenSetClassifier(LogisticRegression()),
        *HEADS.values(),
        *(router() if isinstance(router, type) else router for router in ROUTERS.values()),
    ]
    for one in fitted:
        assert one.__getstate__()["_versions"] == _versions.versions(), one


def test_other_weights_are_named(tmp_path, table):
    X, y = table
    folder = copy_of_zoo("RN20", tmp_path / "model")
    for one in (
        ZeroShotHead(str(folder)).fit(X.iloc[:, :128].to_numpy(), y),
        CLIPEmbedder(str(folder)).fit(["a.png"]),
        ImageRetriever(CLIPEmbedder(str(folder))).fit(pictures()[0][:3]),
        CascadeClassifier(
            [str(folder)], estimator=LogisticRegression(), cost={str(folder): 1}, cv=2
        ).fit(*pictures()),
    ):
        content = pickle.dumps(one)
        with no_warning():
            pickle.loads(content)
        file = folder / "open_clip_model.safetensors"
        before = file.read_bytes()
        file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        with pytest.warns(InconsistentVersionWarning, match=f"weights of {folder} [0-9a-f]{{32}}"):
            pickle.loads(content)
        file.write_bytes(before)
        folder.rename(tmp_path / "gone")
        with no_warning():  # its use will tell
            pickle.loads(content)
        (tmp_path / "gone").rename(folder)


# skops


def through_skops(estimator):
    skops_io = pytest.importorskip("skops.io")
    content = skops_io.dumps(estimator)
    assert set(skops_io.get_untrusted_types(data=content)) <= set(skops_trusted_types())
    return skops_io.loads(content, trusted=skops_trusted_types())


@pytest.mark.parametrize("router", [*ROUTERS.values(), GatedRouter()], ids=str)
def test_skops_loads_every_router_also_with_gates(router):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 3)), np.arange(200) % 3
    logits = rng.normal(size=(200, 2, 3))
    right = (X[:, 0] > 0).astype(int)  # a column tells which expert is right
    logits[np.arange(200), right, y] += 5
    fitted = clone(router)
    if "random_state" in fitted.get_params():  # of some folds, gates are no clear gain
        fitted.set_params(random_state=0)
    if not is_fixed(router):
        fitted.fit(X, logits, y)
    if isinstance(router, ShrunkRouter):
        assert isinstance(fitted.chosen_, GatedRouter)
    again = through_skops(fitted)
    np.testing.assert_array_equal(combine(again, X, logits), combine(fitted, X, logits))


def test_skops_trusts_all_classes_that_estimators_keep():
    """A new record has to be trusted, or be one of those that live only as long as a call."""
    trusted, forgotten = skops_trusted_types(), set()
    for module in pkgutil.walk_packages(skclipens.__path__, "skclipens."):
        if not module.name.endswith("__main__") and ".cli" not in module.name:
            for one in vars(importlib.import_module(module.name)).values():
                is_own = inspect.isclass(one) and one.__module__ == module.name
                is_kept = is_own and (hasattr(one, "_fields") or callable(getattr(one, "split", 0)))
                if is_kept and f"{module.name}.{one.__qualname__}" not in trusted:
                    forgotten.add(one.__name__)
    assert forgotten == IN_CALLS


@pytest.mark.parametrize("name", [*HEADS, *ROUTERS])
def test_skops_loads_every_head_and_router(table, name):
    X, y = table
    options = {"head": name, "router": "static"} if name in HEADS else {"router": name}
    clf = AdaptiveBackboneEnsemble(random_state=0, **options).fit(X, y)
    again = through_skops(clf)
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def test_skops_loads_all_else(table, tmp_path):
    X, y = pictures()
    some = y.astype(object)
    some[::4] = None
    views = [View(), View(mirror=True)]
    clf = make_backbone_pipeline(
        PAIR, views=views, cache=EmbeddingStore(tmp_path), unlabeled="use", random_state=0
    ).fit(X, some)
    np.testing.assert_array_equal(through_skops(clf).predict_proba(X), clf.predict_proba(X))
    cascade = CascadeClassifier(PAIR, cv=3).fit(X, y)
    np.testing.assert_array_equal(through_skops(cascade).predict(X), cascade.predict(X))
    selector = BackboneSelector(cv=FewShotSplit(2, 3, random_state=0)).fit(*table)
    np.testing.assert_array_equal(through_skops(selector).support_, selector.support_)
    pca = BlockPCA(4).fit(table[0])
    np.testing.assert_array_equal(through_skops(pca).transform(table[0]), pca.transform(table[0]))
    retriever = ImageRetriever(PAIR).fit(X)
    np.testing.assert_array_equal(through_skops(retriever).kneighbors(X), retriever.kneighbors(X))
    known = OpenSetClassifier(AdaptiveBackboneEnsemble()).fit(*table)
    np.testing.assert_array_equal(through_skops(known).predict(table[0]), known.predict(table[0]))


class Mine(LogisticRegression):
    """A head of one's own."""


def test_skops_refuses_other_types_by_name(table):
    skops_io = pytest.importorskip("skops.io")
    clf = AdaptiveBackboneEnsemble(head=Mine(), router="uniform", calibrate=False).fit(*table)
    with pytest.raises(skops_io.exceptions.UntrustedTypesFoundException, match="Mine"):
        skops_io.loads(skops_io.dumps(clf), trusted=skops_trusted_types())
    assert all("Mine" not in one for one in skops_trusted_types())
