"""What all estimators of this package share."""

import sys

from ._versions import versions, warn_of_others

_SITE = "https://skclipens.github.io/skclipens"
_KEY = "_versions"


class EstimatorMixin:
    """Mixin of all estimators: links of their diagrams, and the versions they are saved with."""

    _doc_link_module = "skclipens"
    _doc_link_template = f"{_SITE}/generated/{{page}}.html"

    def _doc_link_url_param_generator(self):
        name, (package, part, *_) = type(self).__name__, type(self).__module__.split(".")
        is_at_top = name in sys.modules[package].__all__
        return {"page": f"{package}.{name}" if is_at_top else f"{package}.{part}.{name}"}

    def __getstate__(self):
        return {**super().__getstate__(), _KEY: versions()}

    def __setstate__(self, state):
        saved = state.get(_KEY, {})
        super().__setstate__({key: value for key, value in state.items() if key != _KEY})
        warn_of_others(self, saved, {key: versions().get(key) for key in saved})
