"""Tests of the zero-shot head, against open_clip itself, with the zoo and a model of one's own."""

import json
import re
from collections import UserDict
from concurrent.futures import ThreadPoolExecutor

import huggingface_hub
import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.utils._param_validation import InvalidParameterError

from skclipens import (
    AdaptiveBackboneEnsemble,
    BackboneNotAvailableError,
    CLIPEmbedder,
    KernelHead,
    ZeroShotHead,
    zoo,
)
from skclipens.backbones import Backbone, _text
from skclipens.datasets import load_emoji
from skclipens.heads import DEFAULT_TEMPLATES, names_of_classes

BACKBONE = "zoo/ViT-8"
CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 32},
    "text_cfg": {
        "context_length": 32,
        "vocab_size": 49408,
        "width": 64,
        "heads": 1,
        "layers": 1,
        "tokenizer_kwargs": {"bpe_path": "merges/vocabulary.txt.gz"},
    },
}


@pytest.fixture(scope="module")
def emoji():
    return load_emoji()


@pytest.fixture(scope="module")
def X(emoji):
    return CLIPEmbedder(BACKBONE, device="cpu").fit_transform(emoji.filenames[::20])


@pytest.fixture(scope="module")
def y(emoji):
    return emoji.target_names[emoji.target[::20]]


@pytest.fixture
def own(tmp_path):
    """A directory with a model, its vocabulary below it."""
    merges = tmp_path / "merges"
    merges.mkdir()
    (merges / "vocabulary.txt.gz").write_bytes(zoo.VOCABULARY.read_bytes())
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": CONFIG}))
    save_weights(tmp_path, seed=0)
    return tmp_path


def save_weights(folder, seed):
    torch.manual_seed(seed)
    model = open_clip.CLIP(**CONFIG)
    model.logit_scale.data.fill_(seed)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")


def reference(backbone, bpe_path, names, templates):
    """Text features and scale as open_clip makes them, by its own documentation."""
    model = open_clip.create_model(backbone.model_name).eval()
    tokenizer = open_clip.SimpleTokenizer(bpe_path=str(bpe_path), context_length=32)
    weights = open_clip.build_zero_shot_classifier(model, tokenizer, names, templates)
    return weights.T.numpy(), model.logit_scale.exp().item()


# Values


@pytest.mark.parametrize("templates", [None, ["a drawing of a {}, in colour"], ("{}", "my {}")])
def test_agrees_with_open_clip(templates, X, y):
    head = ZeroShotHead(BACKBONE, templates=templates).fit(X, y)
    names = sorted(set(y))
    features, scale = reference(
        Backbone(BACKBONE), zoo.VOCABULARY, names, templates or DEFAULT_TEMPLATES
    )
    np.testing.assert_allclose(head.text_features_, features, atol=1e-5)
    assert head.text_features_.dtype == np.float32
    assert head.logit_scale_ == pytest.approx(scale)
    assert list(head.classes_) == names
    logits = scale * X @ features.T
    np.testing.assert_allclose(head.decision_function(X), logits, rtol=1e-4, atol=1e-3)
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(head.predict_proba(X), proba, rtol=1e-2, atol=1e-5)
    np.testing.assert_array_equal(head.predict(X), np.array(names)[proba.argmax(axis=1)])


def test_a_directory_has_its_vocabulary_beside_it(own):
    head = ZeroShotHead(str(own)).fit(np.ones((2, 16)), ["cat", "dog"])
    bpe_path = own / "merges/vocabulary.txt.gz"
    features, _ = reference(Backbone(str(own)), bpe_path, ["cat", "dog"], DEFAULT_TEMPLATES)
    np.testing.assert_allclose(head.text_features_, features, atol=1e-5)


def test_an_open_clip_architecture_has_the_vocabulary_of_open_clip(tmp_path):
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-S-32-alt")
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    spec = f"ViT-S-32-alt//{tmp_path / 'weights.safetensors'}"
    head = ZeroShotHead(spec).fit(np.ones((2, 256)), ["cat", "dog"])
    tokenizer = open_clip.get_tokenizer("ViT-S-32-alt")
    expected = open_clip.build_zero_shot_classifier(
        model.eval(), tokenizer, ["cat", "dog"], DEFAULT_TEMPLATES
    )
    np.testing.assert_allclose(head.text_features_, expected.T.numpy(), atol=1e-5)


# Classes


def test_integer_labels_have_names(X, y, emoji):
    expected = ZeroShotHead(BACKBONE).fit(X, y)
    labels = emoji.target[::20]
    names = emoji.target_names
    for class_names in (names, list(names), dict(enumerate(names)), pd.Series(names)):
        head = clone(ZeroShotHead(BACKBONE, class_names=class_names)).fit(X, labels)
        np.testing.assert_array_equal(head.text_features_, expected.text_features_)
        found = head.predict(X)
        assert found.dtype == labels.dtype
        np.testing.assert_array_equal(names[found], expected.predict(X))


def test_a_column_can_name_the_label_of_each_row(X, y, emoji):
    labels = emoji.target[::20]
    of_rows = pd.Series(emoji.target_names[labels], index=labels)
    expected = ZeroShotHead(BACKBONE).fit(X, y).text_features_
    found = ZeroShotHead(BACKBONE, class_names=of_rows).fit(X, labels).text_features_
    np.testing.assert_array_equal(found, expected)
    of_rows.iloc[-1] = "unicorn"
    with pytest.raises(ValueError, match=rf"calls class {labels[-1]} both '.*' and 'unicorn'"):
        ZeroShotHead(BACKBONE, class_names=of_rows).fit(X, labels)


@pytest.mark.parametrize(
    "estimator",
    [ZeroShotHead(BACKBONE), KernelHead(), AdaptiveBackboneEnsemble([(BACKBONE, slice(None))])],
    ids=lambda estimator: type(estimator).__name__,
)
def test_any_mapping_can_have_the_names(estimator, X):
    labels, names = ["c", "d"] * 2, {"c": "cat", "d": "dog"}
    found, expected = (
        clone(estimator).set_params(class_names=one).fit(X[:4], labels).predict_proba(X[:9])
        for one in (UserDict(names), names)
    )
    np.testing.assert_array_equal(found, expected)


def test_string_labels_can_have_other_names(X):
    named = ZeroShotHead(BACKBONE, class_names={"c": "cat", "d": "dog"}).fit(X[:2], ["c", "d"])
    expected = ZeroShotHead(BACKBONE).fit(X[:2], ["cat", "dog"])
    np.testing.assert_array_equal(named.text_features_, expected.text_features_)
    assert list(named.classes_) == ["c", "d"]


@pytest.mark.parametrize(
    ("labels", "class_names", "expected"),
    [
        (["b", "a"], None, ("b", "a")),
        (np.array(["b", "a"]), None, ("b", "a")),
        ([0, 2], ["cat", "dog", "owl"], ("cat", "owl")),
        (np.array([5.0, 7.0]), {5: "cat", 7: "owl"}, ("cat", "owl")),
        ([False, True], {True: "cat", False: "no cat"}, ("no cat", "cat")),
    ],
)
def test_names_of_classes(labels, class_names, expected):
    assert names_of_classes(labels, class_names) == expected


@pytest.mark.parametrize(
    ("labels", "class_names", "message"),
    [
        ([0, 1], None, "Label 0 is not a string.*class_names: a list.*or a dict"),
        ([0, 3], ["cat", "dog"], r"no name for label 3; it names the labels \[0, 1\]"),
        ([-2, 0], ["cat", "dog"], "no name for label -2"),
        ([0, 1], {"a": "cat", "b": "dog"}, "StackingClassifier, number the labels: give a list"),
        (["a", "b"], {"a": "cat"}, r"no name for label 'b'; it names the labels \['a'\]"),
        (["a", "b"], ["cat", "dog"], "no name for label 'a'"),
    ],
)
def test_class_without_a_name(labels, class_names, message, X):
    with pytest.raises(ValueError, match=message):
        ZeroShotHead(BACKBONE, class_names=class_names).fit(X[:2], labels)


def test_one_class(X):
    head = ZeroShotHead(BACKBONE).fit(X, ["cat"] * len(X))
    assert head.decision_function(X).shape == (len(X), 1)
    assert (head.predict_proba(X) == 1).all()
    assert (head.predict(X) == "cat").all()


def test_log_probabilities_are_those_of_probabilities_and_never_infinite(X, y):
    head = ZeroShotHead(BACKBONE).fit(X, y)
    np.testing.assert_allclose(np.exp(head.predict_log_proba(X)), head.predict_proba(X), rtol=1e-4)
    head.logit_scale_ = 1e5  # so sure that probabilities round to 0 and 1
    assert (head.predict_proba(X) == 0).any()
    assert np.isfinite(head.predict_log_proba(X)).all()


# Other classes


def test_takes_other_classes_and_keeps_its_parameters(X, y):
    head = ZeroShotHead(BACKBONE).fit(X, y)
    before = head.get_params()
    fresh = ZeroShotHead(BACKBONE).fit(X[:3], ["dog", "cat", "cat"])
    np.testing.assert_array_equal(head.set_classes(["dog", "cat"]).classes_, ["cat", "dog"])
    np.testing.assert_array_equal(head.predict_proba(X), fresh.predict_proba(X))
    head.set_classes([7, 9], class_names={7: "cat", 9: "dog"}, templates=["my {}"])
    assert set(head.predict(X)) <= {7, 9}
    assert head.get_params() == before
    with pytest.raises(ValueError, match=r"7 is not a string.*Pass class_names to set_classes"):
        head.set_classes([7, 9])


def test_names_alone_make_a_classifier(X, y):
    head = ZeroShotHead(BACKBONE)
    with pytest.raises(ValueError, match=r"7 is not a string.*Pass class_names to set_classes"):
        head.set_classes([7, 9])
    assert not hasattr(head, "classes_")
    fitted = ZeroShotHead(BACKBONE).fit(X, y)
    head.set_classes(np.unique(y))
    np.testing.assert_array_equal(head.predict_proba(X), fitted.predict_proba(X))
    with pytest.raises(ValueError, match="features"):
        head.predict(X[:, :-1])
    with pytest.raises(ValueError, match="needs the backbone"):
        ZeroShotHead().set_classes(["cat", "dog"])
    with pytest.raises(ValueError, match=r"classes is a set\. .* with a value for each class, in"):
        head.set_classes({"cat", "dog"})
    with pytest.raises(ValueError, match=r"class_names is a set.*a list that the labels index"):
        head.set_classes([0, 1], class_names={"cat", "dog"})


def test_classes_for_another_backbone_forget_the_columns_of_the_first(X, y):
    other = "zoo/RN20"
    frames = [pd.DataFrame(X).add_prefix(f"{name}__") for name in (BACKBONE, other)]
    head = ZeroShotHead(BACKBONE).fit(frames[0], y)
    with pytest.raises(ValueError, match="feature names"):
        head.set_classes(["cat", "dog"]).predict(frames[1].add_prefix("not "))
    head.set_params(backbone=other).set_classes(["cat", "dog"])
    expected = ZeroShotHead(other).set_classes(["cat", "dog"]).predict_proba(frames[1])
    np.testing.assert_array_equal(head.predict_proba(frames[1]), expected)
    with pytest.raises(ValueError, match=f"the column '{BACKBONE}__0' where"):
        head.predict(frames[0])


def test_one_name_searches_rows(X):
    scores = ZeroShotHead(BACKBONE).set_classes(["a bird"]).decision_function(X)
    assert scores.shape == (len(X), 1)


# Prompts


@pytest.mark.parametrize(
    ("templates", "message"),
    [
        (["a photo"], "where the name of a class goes, and no other brace"),
        (["{}", "{} beside a {}"], "got '{} beside a {}'"),
        (["a {} of {c}"], "got 'a {} of {c}'"),
        (["{0} {1}"], "got '{0} {1}'"),
        (["{name}"], "got '{name}'"),
        (["{} in {{braces}}"], "got '{} in {{braces}}'"),
        (["{{}}"], "got '{{}}'"),
        (["a {} {"], "got 'a {} {'"),
        ([3], "got 3"),
        (open_clip.SIMPLE_IMAGENET_TEMPLATES, "pass [template('{}') for template in templates]."),
        ([], "templates is empty"),
    ],
)
def test_wrong_template(templates, message, X):
    message = re.escape(message)
    with pytest.raises(ValueError, match=message):
        ZeroShotHead(BACKBONE, templates=templates).fit(X[:2], ["cat", "dog"])
    with pytest.raises(ValueError, match=message):
        CLIPEmbedder(BACKBONE).embed_text(["cat", "dog"], templates=templates)


@pytest.mark.parametrize("templates", ["a photo of a {}", 3])
def test_templates_are_a_list(templates, X):
    with pytest.raises(InvalidParameterError, match="'templates' parameter"):
        ZeroShotHead(BACKBONE, templates=templates).fit(X[:2], ["cat", "dog"])


def test_one_template_is_no_list():
    with pytest.raises(ValueError, match=r"pass \['a photo of a \{\}'\]"):
        ZeroShotHead(BACKBONE).set_classes(["cat", "dog"], templates="a photo of a {}")


def test_braces_in_a_name_are_only_braces(X):
    head = ZeroShotHead(BACKBONE, templates=["a {}"]).fit(X[:2], ["{c}", "{}"])
    expected = ZeroShotHead(BACKBONE, templates=["{}"]).fit(X[:2], ["a {c}", "a {}"])
    np.testing.assert_allclose(head.text_features_, expected.text_features_, atol=1e-6)


def test_prompts_are_encoded_once(own, monkeypatch):
    encoded = []
    real = _text.encode_texts
    monkeypatch.setattr(
        _text, "encode_texts", lambda one, texts: encoded.extend(texts) or real(one, texts)
    )
    head = ZeroShotHead(str(own))
    rows = np.ones((3, 16))
    with ThreadPoolExecutor(8) as pool:
        heads = list(pool.map(lambda _: clone(head).fit(rows, ["a", "b", "a"]), range(8)))
    clone(head).fit(rows[:2] * 2, ["b", "a"])
    ZeroShotHead(str(own), class_names=["a", "b"]).fit(rows, [0, 1, 1])
    assert sorted(encoded) == sorted(
        template.replace("{}", name) for name in "ab" for template in DEFAULT_TEMPLATES
    )
    assert all(one.text_features_ is heads[0].text_features_ for one in heads)
    with pytest.raises(ValueError, match="read-only"):  # since they share it
        heads[0].text_features_ *= 2
    ZeroShotHead(str(own), templates=["{}"]).fit(rows, ["a", "b", "a"])
    clone(head).fit(rows, ["a", "b", "c"])
    assert {*encoded[6:]} == {template.replace("{}", "c") for template in DEFAULT_TEMPLATES}
    assert len(encoded) == 9


def test_weights_written_again_are_encoded_again(own):
    head = ZeroShotHead(str(own))
    rows = np.ones((2, 16))
    before = clone(head).fit(rows, ["cat", "dog"])
    save_weights(own, seed=1)
    after = head.fit(rows, ["cat", "dog"])
    assert (before.logit_scale_, after.logit_scale_) == (pytest.approx(1), pytest.approx(np.e))
    assert np.abs(after.text_features_ - before.text_features_).max() > 1e-2


# scikit-learn


def test_wrong_width_names_the_backbone(X, y):
    with pytest.raises(ValueError, match=r"X has 100 columns.*'zoo/ViT-8' have 128"):
        ZeroShotHead(BACKBONE).fit(X[:, :100], y)
    with pytest.raises(ValueError, match=r"'ViT-B-32/openai' have 512"):
        ZeroShotHead("ViT-B-32").fit(X, y)
    with pytest.raises(ValueError, match="ZeroShotHead needs the backbone that made the emb"):
        ZeroShotHead().fit(X, y)
    with pytest.raises(ValueError, match="100 features, but ZeroShotHead is expecting 128"):
        ZeroShotHead(BACKBONE).fit(X, y).predict(X[:, :100])
    with pytest.raises(ValueError, match="Unknown backbone 'zoo'"):
        ZeroShotHead("zoo").fit(X, y)


def test_weights_that_are_not_here(X, y, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BackboneNotAvailableError, match="'ViT-B-32/openai' cannot be loaded"):
        ZeroShotHead("ViT-B-32").fit(np.tile(X, 4), y)


def test_weights_are_checked_though_nothing_is_learned(X, y):
    for weights in (np.ones(3), -np.ones(len(X))):
        with pytest.raises(ValueError, match="sample_weight"):
            ZeroShotHead(BACKBONE).fit(X, y, sample_weight=weights)


def test_in_cross_validation(X, y):
    common = pd.Series(y).isin(pd.Series(y).value_counts().index[:4])
    X, y = X[common], y[common]
    head = ZeroShotHead(BACKBONE)
    np.testing.assert_array_equal(cross_val_predict(head, X, y, cv=2), head.fit(X, y).predict(X))
    choices = [None, ["{}"]]
    search = GridSearchCV(head, {"templates": choices}, cv=2).fit(X, y)
    scores = [cross_val_score(clone(head).set_params(templates=t), X, y, cv=2) for t in choices]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], np.mean(scores, axis=1))
