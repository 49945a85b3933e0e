"""Settings of a test run. Its hooks also see the doctests of skclipens/ in a plain `pytest`."""

import os

import pytest
from hypothesis import settings

# The workers of pytest-xdist share the cores: one thread each, also for the processes that
# their tests start. Read by numpy and torch on import, so set before either is imported.
IN_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if IN_WORKER:
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")

os.environ.setdefault("MPLBACKEND", "Agg")

# Loading a model can take seconds on a busy machine, and CI must not fail by chance.
settings.register_profile("skclipens", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("skclipens")


def pytest_configure(config):
    if "network" not in config.option.markexpr:
        os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported


def pytest_collection_modifyitems(config, items):
    for item in items:
        for name in ("slow", "network"):
            if item.get_closest_marker(name) and name not in config.option.markexpr:
                item.add_marker(pytest.mark.skip(reason=f"runs only with -m {name}"))
        if item.get_closest_marker("gpu") and not _has_gpu():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="module")
def short_training():
    """Routers that are trained, by their names, in a few steps.

    For tests of what does not depend on how well they are trained.
    """
    from sklearn.base import clone

    from skclipens.ensemble.routers import ROUTERS

    with pytest.MonkeyPatch.context() as patch:
        for name, max_iter in {"nlc": 30, "mixture": 5, "genetic": 30}.items():
            patch.setitem(ROUTERS, name, clone(ROUTERS[name]).set_params(max_iter=max_iter))
        yield


@pytest.fixture
def bars_at_once(monkeypatch):
    """Progress bars that appear as soon as work begins."""
    from skclipens._utils import _progress

    monkeypatch.setattr(_progress, "DELAY", 0)


@pytest.fixture(scope="module")
def embedded_once(tmp_path_factory):
    """Embedders without a store, and those with ``cache=True``, share one with all other tests.

    For modules that need embeddings and do not test how they are made. Each model then embeds a
    picture once in a run, also where several workers need it. ``cache=False`` embeds anew.
    """
    from skclipens.embedding import _base

    folder, as_store = tmp_path_factory.getbasetemp(), _base.as_store
    transform = _base.BaseEmbedder._transform

    def filled_up(self, images, is_part=True):
        return transform(self, images, is_part=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKCLIPENS_CACHE", str(folder.parent if IN_WORKER else folder))
        patch.setattr(_base, "as_store", lambda cache: as_store(True if cache is None else cache))
        # Otherwise, last digits of a small batch would depend on which test comes first.
        patch.setattr(_base.BaseEmbedder, "_transform", filled_up)
        yield


@pytest.fixture(scope="module")
def few_strengths():
    """Two values of C for the logistic regressions of ``compare_with_baselines``.

    They take most of their steps at a large C. The guide shows what is found with all values.
    """
    from skclipens.model_selection import _compare_logistic

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_compare_logistic, "_STRENGTHS", [0.1, 1])
        yield


@pytest.fixture(scope="module")
def pictures():
    """A frame of 40 pictures of 4 classes, one after the other."""
    from skclipens.datasets import load_emoji

    return load_emoji(as_frame=True).frame.groupby("label").head(10).head(40)


@pytest.fixture(scope="module")
def frame(pictures, request):
    """Their embeddings by the backbones that the module of the test names in BACKBONES."""
    from skclipens import MultiBackboneEmbedder

    embedder = MultiBackboneEmbedder(request.module.BACKBONES).set_output(transform="pandas")
    return embedder.fit_transform(pictures["path"])


@pytest.fixture(scope="module")
def X(frame):
    return frame.to_numpy()


@pytest.fixture(scope="module")
def y(pictures):
    return pictures["label"].to_numpy()


@pytest.fixture(scope="module")
def table():
    """Embeddings of a fourth of the pictures of two classes, and the labels of these."""
    from skclipens import CLIPEmbedder
    from skclipens.datasets import load_emoji

    data = load_emoji(min_class_size=60)
    X = CLIPEmbedder("zoo/RN20").transform(data.filenames[::4])
    return X, data.target_names[data.target[::4]]


@pytest.fixture
def forwards(request):
    """How many pictures each of the module's BACKBONES has embedded so far, on the CPU."""
    from skclipens.backbones import load_backbone

    counts, hooks = dict.fromkeys(request.module.BACKBONES, 0), []
    for name in counts:

        def count(tower, inputs, output, name=name):
            counts[name] += len(inputs[0])

        tower = load_backbone(name, "cpu").model.visual
        hooks.append(tower.register_forward_hook(count))
    yield counts
    for hook in hooks:
        hook.remove()


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Pictures of several sizes and shapes, none that of a model's input."""
    from PIL import Image

    from skclipens.datasets import load_emoji
    from skclipens.images import load_image

    folder = tmp_path_factory.mktemp("pictures")
    files = []
    for i, file in enumerate(load_emoji(return_X_y=True)[0][::200]):
        picture = load_image(file).resize((100 + 20 * i, 120), Image.Resampling.LANCZOS)
        files.append(str(folder / f"{i}.png"))
        picture.save(files[-1])
    return files


@pytest.fixture(scope="module")
def emoji(request):
    """Embeddings of 72 pictures, shuffled, and the names of their 6 classes."""
    import numpy as np
    from _pictures import some_of_each

    from skclipens import MultiBackboneEmbedder

    files, labels = some_of_each(6, 12)
    rows = np.random.default_rng(0).permutation(len(files))
    return MultiBackboneEmbedder(request.module.BACKBONES).fit_transform(files[rows]), labels[rows]


def _has_gpu():
    import torch

    return torch.cuda.is_available()
