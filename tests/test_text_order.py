"""Files whose names say that labels are in another order.

They are sorted as texts, 1, 10, 2, beside labels for files that are sorted by number; or their
folders or names say other classes than their labels.
"""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from _pictures import some_of_each
from _said import no_warning, said
from PIL import Image
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from torch.utils.data import Dataset, Subset

from skclipens import (
    AdaptiveBackboneEnsemble,
    CascadeClassifier,
    CLIPEmbedder,
    make_backbone_pipeline,
)
from skclipens._mistakes._row_order import warn_of_text_order
from skclipens.datasets import load_emoji
from skclipens.exceptions import SuspectedMistakeWarning
from skclipens.images._file_names import warn_of_named_files

pytest.importorskip("pyarrow")

from skclipens.embedding import read_embeddings

CORRECTED = sorted(f"{name}/img{i}.png" for name in ("a", "b") for i in range(1, 13))
SAID = r"'img10.png' before 'img2.png'.*sort files by number"


@pytest.fixture(scope="module")
def labels():
    return np.repeat(["animal", "face", "object"], 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number, path in enumerate(load_emoji(return_X_y=True)[0][::100][:12]):
        shutil.copy(path, folder / f"img{number}.png")
    return folder


def test_files_of_a_pipeline(folder, labels):
    files = sorted(folder.glob("*.png"))
    clf = make_backbone_pipeline("zoo/RN20")
    with pytest.warns(SuspectedMistakeWarning, match=SAID):
        clf.fit(files, labels)
    by_number = sorted(files, key=lambda path: int(path.stem[3:]))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Files are sorted")
        clf.fit(by_number, labels)


def test_tables_and_files_of_a_table(folder, labels, tmp_path):
    CLIPEmbedder("zoo/RN20").embed_to(tmp_path, folder)
    clf = AdaptiveBackboneEnsemble(head="linear")
    with pytest.warns(SuspectedMistakeWarning, match=SAID):
        clf.fit(read_embeddings(tmp_path), labels)
    with pytest.warns(SuspectedMistakeWarning, match=SAID):
        clf.fit_from(tmp_path, labels)


@pytest.mark.parametrize(
    "names, labels",
    [
        ([f"{name}{i}.png" for name in ("cat", "dog") for i in (1, 10, 2)], [0, 0, 0, 1, 1, 1]),
        ([f"{name}/{i}.png" for name in ("9", "cat") for i in (1, 10, 2)], [0, 0, 0, 1, 1, 1]),
        ([f"{i}.png" for i in (1, 10, 11, 2, 3, 4)], [0, 1, 0, 1, 0, 1]),
        ([f"{i}.png" for i in (1, 10, 11, 2, 3, 4)], list("abcdef")),
        ([f"{i}.png" for i in (1, 10, 11, 2, 3, 4)], [0] * 6),
        ([f"{i}.png" for i in (1, 2, 3, 4, 10, 11)], [0, 0, 0, 1, 1, 1]),
        ([f"{i:02}.png" for i in range(12)], [0] * 4 + [1] * 8),
        (CORRECTED, [0] * 11 + [1] * 13),  # img9 is the last file of "a"
        (CORRECTED, [2] + [0] * 11 + [1] * 12),
        ([one.replace("/", "_") for one in CORRECTED], [0] * 11 + [1] * 13),
        ([f"{i:02}.png" for i in range(20)], [0] * 19 + [1]),
        ([f"part/{i:04}.png" for i in range(100)], [0] * 92 + [1] * 4 + [2] * 4),
        (sorted(f"img{i}.png" for i in range(1, 31)), [1] + [0] * 29),  # a cover
        ([Path("a"), "b", b"c", "d"], [0, 0, 1, 1]),
        (range(4), [0, 0, 1, 1]),
        ([], [0, 0, 1, 1]),
    ],
)
def test_what_is_right_is_not_doubted(names, labels):
    with no_warning():
        warn_of_text_order(names, labels)


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """Files in folders of their classes, and their labels."""
    folder = tmp_path_factory.mktemp("classes")
    paths, labels = some_of_each(3, 4, min_class_size=40)
    files = [folder / label.replace(" ", "_") / Path(p).name for p, label in zip(paths, labels)]
    for path, file in zip(paths, files):
        file.parent.mkdir(exist_ok=True)
        shutil.copy(path, file)
    return files, labels


def told(call, *args):
    return [one for one in said(call, *args) if one.startswith("Folders or names of files say")]


def test_labels_that_are_of_other_files(classes):
    files, labels = classes
    first, of_ninth = labels[[0, 8]].tolist()
    clf = make_backbone_pipeline("zoo/RN20", head="linear")
    assert not told(clf.fit, files, labels) and not told(clf.score, files, labels)
    wrong = np.roll(labels, 4)
    for call, given in ((clf.fit, wrong), (clf.fit, list(wrong)), (clf.score, wrong)):
        (doubt,) = told(call, files, given)
        assert doubt.startswith(
            "Folders or names of files say another class than y for 12 of 12 rows, such as row 0: "
        )
        assert f"{str(files[0])!r} has the label {of_ninth!r}, and its name says" in doubt
        assert f"its name says {first!r}. Check that each label belongs to its file" in doubt
    opened = [Image.open(file) for file in files]
    assert told(clf.fit, opened, np.roll(labels, 4)) and not told(clf.fit, opened, labels)


@pytest.mark.parametrize(
    "clf",
    [
        make_pipeline(CLIPEmbedder("zoo/RN20"), LogisticRegression()),
        make_pipeline(
            make_column_transformer((CLIPEmbedder("zoo/RN20"), "file")), LogisticRegression()
        ),
        CascadeClassifier(["zoo/RN20", "zoo/ViT-8"], thresholds=0.9),
        make_backbone_pipeline("zoo/RN20", estimator=LogisticRegression()),
    ],
    ids=["plain pipeline", "column of a table", "cascade", "other estimator"],
)
def test_labels_that_are_of_other_files_in_fit_of_other_classifiers(clf, classes):
    files, labels = classes
    table = pd.DataFrame({"file": files})
    assert not told(clf.fit, table, labels)
    assert len(told(clf.fit, table, np.roll(labels, 4))) == 1
    with no_warning():
        make_pipeline(CLIPEmbedder("zoo/RN20"), Ridge()).fit(files, np.arange(12) % 5)


def test_class_names_in_another_order_than_the_labels_of_files(classes):
    files, labels = classes
    names, codes = np.unique(labels, return_inverse=True)
    clf = make_backbone_pipeline("zoo/RN20", head="linear")
    for right in (names, dict(enumerate(names)), pd.Series(names)):
        assert not told(
            clf.set_params(adaptivebackboneensemble__class_names=right).fit, files, codes
        )
    clf.set_params(adaptivebackboneensemble__class_names=np.roll(names, 1))
    (doubt,) = told(clf.fit, files, codes)
    assert f"has the label 0 ({names.tolist()[-1]!r}), and its name says 1 (" in doubt
    assert "Check that class_names are in the order of the labels, and each label belongs" in doubt


class ImageFolder(Dataset):
    """Like that of torchvision, which the tests do without."""

    def __init__(self, root):
        self.classes = sorted(folder.name for folder in root.iterdir())
        files = [
            (i, file) for i, name in enumerate(self.classes) for file in (root / name).iterdir()
        ]
        self.samples = [(str(file), i) for i, file in files]
        self.targets = [i for i, _ in files]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        path, target = self.samples[i]
        return Image.open(path).convert("RGBA"), target


def test_labels_that_are_of_other_files_of_a_torch_dataset(classes):
    whole = ImageFolder(classes[0][0].parent.parent)
    part = Subset(whole, [*range(0, 12, 2), *range(11, 0, -2)])
    of_part = [whole.targets[i] for i in part.indices]
    names = [name.replace("_", " ") for name in whole.classes]
    clf = make_backbone_pipeline("zoo/RN20", head="linear", class_names=names)
    assert not told(clf.fit, whole, whole.targets) and not told(clf.fit, part, of_part)
    assert told(clf.fit, Subset(part, range(12)), whole.targets)
    clf.set_params(adaptivebackboneensemble__class_names=names[::-1])
    assert told(clf.fit, whole, whole.targets)
    clf.set_params(adaptivebackboneensemble__class_names=None)
    assert not told(clf.fit, whole, whole.targets)


def test_labels_beside_a_table_that_is_indexed_by_other_files(classes, tmp_path):
    files, labels = classes
    CLIPEmbedder("zoo/RN20").embed_to(tmp_path, files)
    table, wrong = read_embeddings(tmp_path), np.roll(labels, 4)
    clf = AdaptiveBackboneEnsemble(head="linear")
    assert not told(clf.fit, table, labels) and not told(clf.fit_from, tmp_path, labels)
    (of_fit,) = told(clf.fit, table, wrong)
    assert told(clf.fit_from, tmp_path, wrong) == [of_fit]
    some = np.where(np.arange(len(wrong)) % 3, labels, None)
    clf.set_params(unlabeled="ignore")
    assert not told(clf.fit, table, some) and not told(clf.fit_from, tmp_path, some)


CATS, DOGS = [f"cats and dogs/cat/{i}.jpg" for i in range(6)], [f"b/dog{i}.jpg" for i in range(6)]
OWLS = [f"owl_{i}.jpg" for i in range(40)]


@pytest.mark.parametrize(
    "names, labels, class_names",
    [
        (CATS + DOGS, ["cat"] * 6 + ["dog"] * 6, None),
        (CATS + DOGS, ["cat"] * 4 + ["dog"] * 8, None),  # labels that were corrected
        (CATS + DOGS, ["Cat"] * 6 + [" dog"] * 6, None),
        (CATS + DOGS, ["kitten"] * 6 + ["puppy"] * 6, None),
        (CATS + DOGS, ["pet", "other"] * 6, None),
        (CATS + DOGS, ["cat", None, ""] * 2 + ["dog", None, np.nan] * 2, None),
        (CATS + DOGS, [0] * 6 + [1] * 6, ["cat", "dog"]),
        (CATS + DOGS, [0, 1] * 6, None),
        (CATS + DOGS, [["cat", "dog"], ["cat"]] * 6, None),
        (CATS + DOGS, np.eye(2)[[0, 1] * 6], None),
        (CATS[:3] + DOGS[:3], ["dog"] * 3 + ["cat"] * 3, None),  # too few
        ([f"dog_{i}.jpg" for i in range(12)], ["cat", "dog"] * 6, None),  # of one class
        ([f"{i}/1_2.jpg" for i in range(9)], list("012345678"), None),
        ([f"dog{i}/cat{i}.jpg" for i in range(12)], ["cat", "dog"] * 6, None),  # of several classes
        ([f"{i}.jpg" for i in range(10)] + CATS[:1] + DOGS[:1], ["cat", "dog"] * 6, None),
        (["a/hot dog/1.jpg", "a/HotDog/2.jpg"] * 4 + DOGS, ["hot dog"] * 8 + ["dog"] * 6, None),
        ([None] * 12, ["cat", "dog"] * 6, None),
        (CATS + DOGS, None, None),
        (OWLS + CATS + DOGS, ["owl"] * 40 + ["dog"] * 12, None),  # two classes were merged
        (OWLS + CATS + DOGS, ["owl"] * 40 + ["dog", "cat"] * 6, None),  # few of all
    ],
)
def test_names_of_files_that_are_right_or_say_no_class(names, labels, class_names):
    with no_warning():
        warn_of_named_files(names, labels, class_names)


@pytest.mark.parametrize(
    "names, labels",
    [
        (CATS + DOGS, ["dog"] * 6 + ["cat"] * 6),
        ([*map(Path, CATS), *DOGS], pd.Series(["dog", "cat"] * 6)),
        (CATS + DOGS + [None] * 4, ["dog", "cat"] * 8),
        ([f"of my dog/{name}" for name in CATS + DOGS], ["dog"] * 6 + ["cat"] * 6),
        (OWLS + CATS + DOGS, ["owl"] * 40 + ["dog"] * 6 + ["cat"] * 6),
        (["a/hot dog/1.jpg", "a/HotDog/2.jpg"] * 4 + DOGS, ["dog"] * 8 + ["hot dog"] * 6),
        ([f"tar://a.tar::{name}" for name in CATS + DOGS], ["dog", "cat"] * 6),
    ],
)
def test_names_of_files_that_say_other_classes(names, labels):
    assert told(warn_of_named_files, names, labels)
