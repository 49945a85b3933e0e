"""Labels and names of classes that may be a slip: a warning names them, and nothing is refused."""

import numpy as np
import pandas as pd
import pytest
from _said import said
from numpy.testing import assert_array_equal

from skclipens import AdaptiveBackboneEnsemble, CLIPEmbedder, MultiBackboneEmbedder
from skclipens._utils._class_texts import warn_of_classes
from skclipens.cascade import BackboneSelector, CascadeClassifier, CascadeEnsemble
from skclipens.datasets import load_emoji
from skclipens.datasets._benchmark_specs import read_classes
from skclipens.heads import LinearDiscriminantHead, ZeroShotHead, names_of_classes

pytestmark = pytest.mark.usefixtures("embedded_once")

SPEC = "zoo/RN20"


@pytest.mark.parametrize(
    ("labels", "doubt"),
    [
        (["cat", "dog", "cat "], "classes 'cat', first in row 0, and 'cat ', first in row 2"),
        (["Cat", "dog", "cat"], "classes 'Cat', first in row 0, and 'cat', first in row 2"),
        (["a b", "a_b"], "classes 'a b', first in row 0, and 'a_b', first in row 1"),
        (["pin\u0303ata", "pi\xf1ata"], r"'pin\u0303ata', first in row 0, and 'pi\xf1ata', first"),
        (["cat", "c\u0430t"], r"'cat', first in row 0, and 'c\u0430t', first in row 1"),
        (["a-b", "a\u2013b"], r"'a-b', first in row 0, and 'a\u2013b', first in row 1"),
        (["cat", "\uff43\uff41\uff54"], r"'cat', first in row 0, and '\uff43\uff41\uff54', first"),
        (["\u0412\u043e\u043b", "\u0432\u043e\u043b"], "and '\u0432\u043e\u043b', first in row 1"),
        (["\u043a\u043e\u0442", "kot"], None),
        (["007", "8", "7"], "classes '007', first in row 0, and '7', first in row 2"),
        (["1", "1.0"], "classes '1', first in row 0, and '1.0', first in row 1"),
        (["10", "1", "100"], None),
        (["cat", "dog", "cat\u200b"], r"'cat', first in row 0, and 'cat\u200b', first in row 2"),
        (["cc", "CC", "dd", "DD"], "So do 1 more"),
        (["c", "C", "d", "D"], None),
        (["cat", "n/a"], "the class 'n/a', first in row 1. This may stand for a missing label"),
        (["NULL", "cat"], "the class 'NULL', first in row 0. This may stand for a missing"),
        (["cat", "Unlabeled", "?"], "the class 'Unlabeled' and '?', first in row 1. This may"),
        (["NA", "EU", "SA"], None),
        (["NA", "cat"], "the class 'NA', first in row 0. This may stand for a missing label"),
        (["cat", "-"], "the class '-', first in row 1"),
        (["cat", "#NV"], "the class '#NV', first in row 1. This may stand for a missing label"),
        (["#REF!", "cat"], "the class '#REF!', first in row 0. This may stand for a missing label"),
        (["cat", "k. A."], "the class 'k. A.', first in row 1. This may"),
        (["cat", "nan"], "This is what astype(str) makes of a missing label"),
        (["cat", "dog", "cat; dog"], "the class 'cat; dog', first in row 2, whose parts are class"),
        (["cat|dog", "cat", "dog", "owl"], "the class 'cat|dog', first in row 0, whose parts"),
        (["['cat', 'dog']", "['owl']"], "first in row 0, which is the text of a list. It is one"),
        (["['owl']", "['cat' 'dog']"], "first in row 1, which is the text of a list. It is one"),
        (["frozenset({'cat', 'dog'})", "owl"], "first in row 0, which is the text of a list."),
        (["owl", "['cat', None]"], "first in row 1, which is the text of a list. It is one"),
        (["cat", "dog", "cat/dog", "cat; owl", "dog; small"], None),
        (["+", "-", "?"], None),
        (["-1", "1"], None),
        (["C++", "C#", "C", "C*", "#C"], None),
        (["resume", "r\xe9sum\xe9"], None),
        (["ice-cream", "icecream"], "which differ only in blanks, signs"),
        (["cat", "c\x07at"], "which differ only in"),
    ],
)
def test_labels_that_may_be_a_slip_are_named(table, labels, doubt):
    X, _ = table
    y = [labels[i % len(labels)] for i in range(len(X))]
    clf = AdaptiveBackboneEnsemble(SPEC, head="linear", router="uniform", calibrate=False)
    for unlabeled in ("error", "ignore"):
        texts = said(clf.set_params(unlabeled=unlabeled).fit, X, y)
        assert len(texts) == (doubt is not None)
        assert all(doubt in text for text in texts)
    assert len(clf.classes_) == len(labels)


@pytest.mark.parametrize("missing", ["", None, np.nan])
def test_rows_without_a_label_are_no_class(table, missing):
    X, labels = table
    clf = AdaptiveBackboneEnsemble(SPEC, head="linear", unlabeled="ignore")
    y = [missing if i % 2 else label for i, label in enumerate(labels)]
    for given in (y, np.array(y, object), np.where(np.arange(len(y)) % 2, "", labels)):
        assert not said(clf.fit, X, given)
        assert_array_equal(clf.classes_, np.unique(labels))


@pytest.mark.parametrize(
    "classes",
    [
        ["land-vehicle", "land vehicle"],
        ["land_vehicle", "LandVehicle"],
        ["mammal", "mammal."],
        ["mammal", "mammal?"],
        ["mammal", "mammal (?)"],
        ["'mammal'", "mammal"],
        ["mammal", "mammal - Copy (2)"],
        ["mammal", "mammal (2)"],
        ["mammal", "['mammal']"],
        ["b'mammal'", "mammal"],
        ["mammal", 'mammal"'],
        ["mammal", "mammal/"],
        ["#mammal", "mammal"],
    ],
)
def test_one_class_in_two_writings_is_named(classes):
    (text,) = said(warn_of_classes, np.array(classes))
    assert "which differ only in blanks, signs, or what" in text
    assert f"{classes[0]!r}, first in row 0, and {classes[1]!r}, first in row 1" in text


@pytest.mark.parametrize("name", ["{}_{}", "{} {:03}", "{} ({})", "{}.{}", "{}_2021-05-{}"])
def test_names_of_pictures_as_labels_are_doubted(name):
    labels = [name.format(kind, i) for kind in ("owl", "red fox") for i in range(15)]
    (text,) = said(warn_of_classes, np.array(labels))
    assert f"such as {labels[0]!r} in row 0" in text and "comes before it: 'owl'" in text
    cars = [f"{chr(ord('A') + i)}-class, {2000 + i % 3}" for i in range(26)]
    for others in (labels[:19], cars, np.repeat(labels, 2), [*labels, *"abcdefgh"]):
        assert not said(warn_of_classes, np.array(others))


@pytest.mark.parametrize(
    "classes",
    [
        ["C", "C++", "C#"],
        ["1.5", "15", "1-5", "(15)"],
        ["crane (1)", "crane (2)"],
        ["Li Na", "Lina"],
        ["A+", "A", "A-"],
        read_classes("imagenet"),
        read_classes("caltech101"),
        load_emoji().target_names,
    ],
    ids=lambda classes: next(iter(classes)),
)
def test_classes_that_are_written_alike_are_not_one(classes):
    assert not said(warn_of_classes, np.array(list(classes)))


@pytest.mark.parametrize(
    "names",
    [
        ["n00001037", "n00001038", "n02119789"],
        ["00003", "00014"],
        ["class_3", "label 4", "Class5"],
        ["Class 1", "Class 0"],
        ["category 1", "category 2", "category 3"],
        [str(number) for number in range(43)],
        ["c0", "c1", "c2"],
        ["4.00638E+12", "4,00641E+12"],
        ["101", "102", "107"],
        ["10", "20", "red fox", *map(str, range(30, 50))],
        ["sku-1234", "sku-1235"],
        ["v0.1", "v1.0", "2.0.1"],
        ["1.0", "2.0", "4.0"],
        ["5f1d7a84", "9be0c117"],
        ["TRUE", "FALSE"],
        ["WAHR", "FALSCH"],
        ["(0, 5]", "(5, 120000.0]", "(-0.001, inf]"],
        ["3-May", "6-Aug", "12-Sep"],
        ["3.5.2024", "12/31/24"],
        ["no", "yes"],
        [*[f"n{number:08}" for number in range(20)], "red fox"],
    ],
)
def test_names_that_are_codes_are_doubted(names):
    (text,) = said(ZeroShotHead(SPEC).set_classes, names)
    assert "look like codes" in text and "class_names" in text
    assert sum(repr(name) in text for name in names) == min(3, len(names))


@pytest.mark.parametrize(
    "names",
    [
        list("0123456789"),
        [str(number) for number in range(11)],
        ["mp3", "b2b", "mp4"],
        ["A310", "A320", "DC-10", "747", "737-200"],
        ["class 3", "red fox", "grey wolf"],
        ["terminal 1", "terminal 2"],
        ["Apollo 8", "Apollo 11", "Apollo 13"],
        ["Class 37", "Class 66", "Class 800"],
        ["A320", "A330"],
        ["10 euro", "20 dollar"],
        ["12", "grey wolf", "red fox"],
        ["facade", "decade", "bead"],
        ["cat", "catalogue 2"],
        ["no entry", "yes sign"],
        ["3/4", "4/4"],
        ["5 mark", "9 mayors"],
        ["3-5 years", "6-8 years"],
        ["negative", "positive"],
    ],
)
def test_names_that_have_digits_are_names(names):
    assert not said(ZeroShotHead(SPEC).set_classes, names)


@pytest.mark.parametrize(
    "names",
    [
        ["001.Black_footed_Albatross", "014.Indigo_Bunting", "200.Common_Yellowthroat"],
        ["n02085620-Chihuahua", "n02085782-Japanese_spaniel"],
        ["0 cat", "1 dog"],
        ["c0: safe driving", "c1: texting", "c2: drinking"],
    ],
)
def test_names_that_begin_with_a_code_are_doubted(names):
    (text,) = said(ZeroShotHead(SPEC).set_classes, names)
    assert "begin with a number or code" in text and repr(names[0]) in text


@pytest.mark.parametrize(
    "names",
    [
        ["1 euro", "2 euro"],
        ["2 door coupe", "4 door sedan"],
        ["30 km/h", "50 km/h", "80 km/h"],
        ["2012 Audi", "1998 BMW"],
        ["0 cat", "dog"],
    ],
)
def test_names_that_begin_with_a_number_that_is_meant(names):
    assert not said(ZeroShotHead(SPEC).set_classes, names)


@pytest.mark.parametrize(
    ("names", "doubt"),
    [
        (["data/train/cat", "data/train/dog"], "are paths: 'data/train/cat', 'data/train/dog'"),
        (["train\\cat", "train\\dog"], "are paths"),
        (["['fox']", "['owl']"], "are text of a list or of bytes: \"['fox']\", \"['owl']\". A"),
        (["b'fox'", "b'owl'"], "are text of a list or of bytes"),
        (["red%20fox", "owl"], "written as in a URL: 'red%20fox'. A"),
        (["cat\u200b", "dog"], r"URL: 'cat\u200b'. A"),
        (["\u043a\u043e\u0442", "\u732b"], f"The texts that '{SPEC}' learned from were"),
        (["bird > gull", "pet > cat"], "several parts: 'bird > gull', 'pet > cat'. A text tower"),
        (["a;aves;gull;", "b;mammalia;cat;"], "give class_names of one part, such as 'gull'"),
        (["animal/bird/gull", "animal/pet/cat"], "such as 'gull'"),
        (["bird::gull", "pet::cat"], "such as 'gull'"),
        (["animal » bird » gull", "animal » pet » cat"], "such as 'gull'"),
        (["animal &raquo; gull", "animal &raquo; cat"], "such as 'cat'"),
        (["a photo of a cat", "A photo of an owl."], "are prompts: 'A photo of an owl.', 'a photo"),
        (["This picture shows a cat", "this image shows an owl"], "are prompts: 'This picture"),
        (["{} cat", "owl"], "are prompts: '{} cat'. Give"),
        (["picture of a cat", "owl"], None),
        (["photo of Paris", "picture frame"], None),
        (["bird|gull", "cat"], None),
        ([">:(", ":>"], None),
        (["cat &amp; dog", "cat &amp; bird"], None),
        (["animal/cat", "animal/dog"], None),
        (["cat/dog", "cat/bird"], None),
        (["photo/video", "train/tram"], None),
        (["crane (1)", "crane (2)"], None),
        (["crane (bird)", "crane (machine)"], None),
        (["10%", "50%ab", "100% wool"], None),
        (["v\xeatement", "mammif\xe8re"], None),
        (["\u03b1", "\u03b2"], None),
        (["red fox", "\u043a\u043e\u0442"], None),
    ],
)
def test_names_that_were_written_for_something_else(names, doubt):
    texts = said(ZeroShotHead(SPEC).set_classes, names)
    assert len(texts) == (doubt is not None)
    assert all(doubt in text for text in texts)


def test_words_that_run_together_are_doubted():
    (text,) = said(ZeroShotHead(SPEC).set_classes, ["GoldenRetriever", "RedFox", "owl"])
    assert "run words together: 'GoldenRetriever', 'RedFox'" in text
    brands = ["YouTube", "iPhone", "MacBook", "McDonalds", "FedEx", "PlayStation"]
    for names in (brands, ["Golden retriever", "Red fox"], ["RED FOX", "OWL"]):
        assert not said(ZeroShotHead(SPEC).set_classes, names)


@pytest.mark.parametrize("dataset", ["gtsrb", "pets"])
def test_classes_whose_blanks_were_left_out_are_doubted(dataset):
    names = list(read_classes(dataset).values())
    run_together = ["".join(word.capitalize() for word in name.split()) for name in names]
    assert not said(ZeroShotHead(SPEC).set_classes, names)
    (text,) = said(ZeroShotHead(SPEC).set_classes, run_together)
    assert text.startswith("Names of classes run words together")


def test_prompts_have_blanks_where_names_of_folders_have_none():
    of_folders, in_words = (
        ZeroShotHead(SPEC).set_classes([name, "owl"]) for name in ("red_fox", "red fox")
    )
    assert_array_equal(of_folders.text_features_, in_words.text_features_)
    assert list(of_folders.classes_) == ["owl", "red_fox"]


def test_numbers_that_labels_did_not_have_in_fit_are_doubted():
    emoji = load_emoji(min_class_size=40)
    X, codes = CLIPEmbedder(SPEC).transform(emoji.filenames), emoji.target
    clf = LinearDiscriminantHead().fit(X[::2], codes[::2])
    X, codes = X[1::2], codes[1::2]
    rows, last = codes != 3, codes.max()
    of_the_others = np.unique(codes[rows], return_inverse=True)[1]  # from 3 on, one too small
    (text,) = said(clf.score, X[rows], of_the_others)
    assert "Of 3 classes, " in text and "if these labels were exchanged" in text
    (text,) = said(clf.score, X, pd.factorize(codes[::-1])[0][::-1])  # in the order of these rows
    assert "if these labels were exchanged" in text
    shuffled = np.random.default_rng(0).permutation(codes)
    of_one = np.where(codes == last, last - 1, codes)  # as where one class looks like another
    for labels in (codes, shuffled, of_one, codes == 0):
        assert not [one for one in said(clf.score, X, labels) if "exchanged" in one]


def test_true_labels_in_another_order_than_the_rows_are_doubted():
    emoji = load_emoji(min_class_size=40)
    X, y = CLIPEmbedder(SPEC).transform(emoji.filenames), emoji.target
    clf = LinearDiscriminantHead().fit(X[::2], y[::2])
    X, y = X[1::2], y[1::2]
    (text,) = said(clf.score, X, np.random.default_rng(0).permutation(y))
    assert "as by chance, though the classifier is 8" in text and "stand in the same order" in text
    one_class = y == 0
    for rows in (slice(None), one_class, slice(0, 19)):
        assert not said(clf.score, X[rows], y[rows])
    noise = np.random.default_rng(0).normal(size=(60, 8))  # of which no classifier can be sure
    assert not said(LinearDiscriminantHead().fit(noise[:30], y[:60:2]).score, noise[30:], y[1:60:2])


def test_a_fit_doubts_names_once():
    emoji = load_emoji(min_class_size=60)
    embedder = MultiBackboneEmbedder(["zoo/RN20", "zoo/ViT-8"]).set_output(transform="pandas")
    X = embedder.fit_transform(emoji.filenames[::8])
    codes = np.arange(len(X)) % 3
    clf = AdaptiveBackboneEnsemble(random_state=0)
    for names, doubt in [
        (["crane", "owl", "crane"], "Classes 0 and 2 are both called 'crane'"),
        (["n00001037", "n00001038", "n02119789"], "look like codes"),
    ]:
        clf.set_params(class_names=names)
        for _ in range(2):  # each fit says it
            (text,) = said(clf.fit, X, codes)
            assert doubt in text


def test_what_fits_many_ensembles_doubts_names_once():
    emoji, names = load_emoji(min_class_size=60), ["zoo/RN20", "zoo/ViT-8"]
    paths = emoji.filenames[::8]
    codes = np.array(["n00001037", "n00001038"])[np.arange(len(paths)) % 2]
    X = MultiBackboneEmbedder(names).set_output(transform="pandas").fit_transform(paths)
    ensemble = AdaptiveBackboneEnsemble(random_state=0)
    for clf, rows in [
        (CascadeClassifier(names, random_state=0), paths),
        (CascadeEnsemble(names, estimator=ensemble, random_state=0), X),
        (BackboneSelector(names, estimator=ensemble, random_state=0), X),
    ]:
        texts = said(clf.fit, rows, codes)
        assert sum("look like codes" in text for text in texts) == 1
        assert len(texts) == len(set(texts))


def test_what_fits_many_ensembles_says_once_how_many_rows_names_fit():
    emoji, names = load_emoji(min_class_size=40), ["zoo/RN20", "zoo/ViT-8"]
    X = MultiBackboneEmbedder(names).set_output(transform="pandas").fit_transform(emoji.filenames)
    wrong = list(np.roll(emoji.target_names, 1))
    ensemble = AdaptiveBackboneEnsemble(class_names=wrong, random_state=0)
    texts = said(CascadeEnsemble(names, estimator=ensemble).fit, X, emoji.target)
    assert sum("would be" in text or "would classify" in text for text in texts) == 1


def test_names_are_shown_as_text():
    with pytest.warns(UserWarning, match="Classes 'a' and 'b' are both called 'crane'"):
        names_of_classes(["a", "b"], dict(zip(np.array(["a", "b"]), np.array(["crane"] * 2))))
    with pytest.raises(
        ValueError, match=r"no name for label 'c'; it names the labels \['a', 'b'\]"
    ):
        names_of_classes(["c"], dict.fromkeys(np.array(["a", "b"]), "crane"))
    with pytest.raises(ValueError, match="The name of class 'a' is ' '"):
        names_of_classes(["a"], {"a": np.str_(" ")})
