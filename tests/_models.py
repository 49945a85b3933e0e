"""Models that tests may change, and classifiers."""

import json
import shutil

from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from skclipens import zoo


class _Backwards(ClassifierMixin, BaseEstimator):
    """A logistic regression whose classes are in descending order."""

    def fit(self, X, y):
        self.model_ = LogisticRegression().fit(X, y)
        self.classes_ = self.model_.classes_[::-1]
        return self

    def predict(self, X):
        return self.model_.predict(X)


class ProbaBackwards(_Backwards):
    def predict_proba(self, X):
        return self.model_.predict_proba(X)[:, ::-1]


class ScoresBackwards(_Backwards):
    def decision_function(self, X):
        scores = self.model_.decision_function(X)
        return -scores if scores.ndim == 1 else scores[:, ::-1]


class FitGivesNone(LogisticRegression):
    def fit(self, X, y):
        super().fit(X, y)


class LabelsInColumn(LogisticRegression):
    """As CatBoost, whose labels of three classes or more have shape (n, 1)."""

    def predict(self, X):
        return super().predict(X)[:, None]


def copy_of_zoo(name, folder):
    """A copy of a model of the zoo, which holds its vocabulary, too."""
    shutil.copytree(zoo.WEIGHTS / name, folder)
    shutil.copy(zoo.VOCABULARY, folder)
    config = folder / "open_clip_config.json"
    path = json.loads(config.read_text())["model_cfg"]["text_cfg"]["tokenizer_kwargs"]["bpe_path"]
    config.write_text(config.read_text().replace(path, zoo.VOCABULARY.name))
    return folder
