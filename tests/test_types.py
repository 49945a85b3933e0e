"""Type checkers know the public API: the stubs say what the docstrings say."""

import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, TransformerMixin
from sklearn.feature_selection import SelectorMixin
from sklearn.model_selection import BaseShuffleSplit
from sklearn.pipeline import Pipeline

from skclipens import AdaptiveBackboneEnsemble, BackboneSelector, EmbeddingStore, ImageError
from skclipens.model_selection import FewShotSplit
from skclipens.pipeline import BackbonePipeline

stubs = pytest.importorskip("tools.docs.stubs", reason="not in a clone of the repository")
ROOT = Path(__file__).parents[1]

GOOD = """
import numpy as np
import skclipens
from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder, make_backbone_pipeline
from skclipens import BackboneSelector, EmbeddingStore
from skclipens.datasets import load_emoji
from skclipens.ensemble import StaticRouter
from skclipens.inspection import RoutingWeightsDisplay
from skclipens.metrics import oracle_accuracy_score
from skclipens.model_selection import FewShotSplit

emoji = load_emoji(min_class_size=40)
X = MultiBackboneEmbedder("zoo", batch_size=8).fit_transform(emoji.filenames)
train, test = next(FewShotSplit(4, random_state=0).split(X, emoji.target))
clf = AdaptiveBackboneEnsemble("zoo", router=StaticRouter(alpha=2.0), random_state=0)
weights: np.ndarray = clf.fit(X[train], emoji.target[train]).routing_weights(X[test])
print(clf.classes_, clf.score(X[test], emoji.target[test]), weights.shape)
RoutingWeightsDisplay.from_estimator(clf, X[test], emoji.target[test])
pipeline = make_backbone_pipeline(["ViT-B-32", "RN50"], cache=True, class_names=["cat", "dog"])
weights = pipeline.fit(emoji.filenames, emoji.target).routing_weights(emoji.filenames)
print(pipeline.named_steps, pipeline[-1].experts_, pipeline.expert_names_, pipeline.router_)
embedder = MultiBackboneEmbedder("zoo").set_output(transform="pandas")
print(embedder.transform(emoji.filenames).iloc[train], pipeline[0].backbones)
selector = BackboneSelector("zoo", n_jobs=None)
print(selector.fit_transform(X, emoji.target), selector.fit(X, emoji.target).get_support())
blocks: list[str] = selector.selected_blocks_
print(skclipens.heads.LinearProbeHead(), skclipens.exceptions.ImageError, skclipens.zoo.MODELS)
print(skclipens.cli.main, EmbeddingStore("store").path, FewShotSplit(4).n_shots)
"""
BAD = """
import skclipens
from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder, make_backbone_pipeline
MultiBackboneEmbedder("zoo", batch_size="large")
AdaptiveBackboneEnsemble("zoo", routers="static")
AdaptiveBackboneEnsemble("zoo").predict()
make_backbone_pipeline("zoo", routers="static")
make_backbone_pipeline("zoo").predict()
skclipens.make_backbon_pipeline("zoo")
skclipens.heads.LinearProbHead()
skclipens.EmbeddingStore("store").put_manny()
skclipens.BlockPCA().n_features_in_.shape
make_backbone_pipeline("zoo").classes_.shap
skclipens.backbones.Backbone("zoo/RN20").width = 64
"""


def test_stubs_are_those_of_the_docstrings():
    for path, text in stubs.stubs().items():
        assert path.read_text("utf-8") == text, "run: python -m tools.docs.stubs"


# mypy accepts whatever a class of scikit-learn might have, so it does not tell a wrong one.
@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (BackbonePipeline, [Pipeline]),
        (BackboneSelector, [SelectorMixin, MetaEstimatorMixin, BaseEstimator]),
        (AdaptiveBackboneEnsemble, [ClassifierMixin, TransformerMixin, BaseEstimator]),
        (FewShotSplit, [BaseShuffleSplit]),
        (ImageError, [ValueError]),
        (EmbeddingStore, []),
    ],
)
def test_a_stub_derives_from_the_classes_that_the_class_derives_from(cls, expected):
    assert stubs.bases(cls) == expected


def test_mypy_accepts_good_use_and_refuses_bad_use(tmp_path):
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text(BAD)
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run(
        [*command, "good.py", "bad.py"],
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
    )
    lines = [line for line in done.stdout.splitlines() if ": error:" in line]
    # A stub that is found by path, not installed, is blamed for what others lack.
    wrong = [line for line in lines if line.startswith(("good.py", "bad.py"))]
    assert [line.split(":")[:2] for line in wrong] == [["bad.py", str(n)] for n in range(4, 15)]
