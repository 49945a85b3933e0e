"""Tests of make_table_pipeline: a classifier of rows with pictures, numbers and words."""

import pickle
import re
import warnings
from decimal import Decimal
from functools import partial

import numpy as np
import pandas as pd
import pytest
from _said import no_warning, said
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skclipens import (
    AdaptiveBackboneEnsemble,
    ImageError,
    MultiBackboneEmbedder,
    make_backbone_pipeline,
    make_table_pipeline,
)
from skclipens.datasets import load_emoji
from skclipens.exceptions import SuspectedMistakeWarning
from skclipens.images import load_image
from skclipens.labels import OpenSetClassifier, find_label_issues
from skclipens.model_selection import compare_with_baselines
from skclipens.pipeline import BackbonePipeline
from skclipens.pipeline._table_columns import NumberImputer
from skclipens.utils import skops_trusted_types

pytestmark = pytest.mark.usefixtures("embedded_once")
BACKBONES = ["zoo/RN20", "zoo/ViT-8"]


@pytest.fixture(scope="module")
def table():
    """Drawings with prices that depend on the class, and shops that do not."""
    emoji = load_emoji(min_class_size=40)
    rng = np.random.default_rng(0)
    rows = emoji.frame[["path", "label"]].copy()
    rows["price"] = rng.normal(10 + 3 * emoji.target, 1)
    rows["shop"] = rng.choice(["north", "south"], len(rows))
    rows = rows.iloc[rng.permutation(len(rows))[:80]].reset_index(drop=True)
    rows.loc[3, "price"] = np.nan
    rows.loc[[5, 60], "shop"] = np.nan
    return rows


def make(**options):
    given = {"images": "path", "numbers": "price", "categories": ["shop"], **options}
    if "estimator" not in options:
        given["random_state"] = 0
    return make_table_pipeline(BACKBONES, **given)


def to_arrow(table):
    return pytest.importorskip("pyarrow").Table.from_pandas(table)


@pytest.fixture(scope="module")
def fitted(table):
    return make().fit(table[:40], table["label"][:40])


def test_it_is_the_pipeline_that_one_writes_by_hand(table, fitted):
    imputer = SimpleImputer(strategy="median", add_indicator=True)
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(imputer, StandardScaler()), ["price"]),
            ("categories", OneHotEncoder(handle_unknown="warn", sparse_output=False), ["shop"]),
            ("path", MultiBackboneEmbedder(BACKBONES, features="both"), "path"),
        ]
    ).set_output(transform="pandas")
    by_hand = make_pipeline(columns, AdaptiveBackboneEnsemble(random_state=0))
    by_hand.fit(table[:40], table["label"][:40])
    with no_warning():
        found = fitted.predict_proba(table[40:])
    np.testing.assert_allclose(found, by_hand.predict_proba(table[40:]), atol=1e-6)
    assert list(fitted[-1].feature_names_in_[:5]) == [
        *("numbers__price", "numbers__missingindicator_price"),
        *("categories__shop_north", "categories__shop_south", "categories__shop_None"),
    ]


def test_numbers_that_depend_on_the_class_help(table, fitted):
    alone = make_backbone_pipeline(BACKBONES, random_state=0)
    alone.fit(table["path"][:40], table["label"][:40])
    test = table[40:]
    assert fitted.score(test, test["label"]) > 0.05 + alone.score(test["path"], test["label"])


def test_it_has_the_methods_of_the_ensemble(table, fitted):
    assert fitted.routing_weights(table[:3]).shape == (3, len(fitted.expert_names_))
    assert "path__zoo/RN20:zero-shot" in fitted.expert_names_
    assert "other:linear" in fitted.expert_names_
    assert fitted.classes_.tolist() == sorted(set(table["label"][:40]))


def test_a_word_that_is_new_is_told(table, fitted):
    new = table[40:43].assign(shop="west")
    with pytest.warns(UserWarning, match="unknown categories"):
        fitted.predict(new)


@pytest.mark.parametrize("n_rows", [2, 3])
def test_what_one_or_two_rows_lack_may_be_in_order(n_rows, table):
    rows = table.fillna({"shop": "north", "price": 0})
    fitted = make().fit(rows[:40], rows["label"][:40])
    some = rows[40 : 40 + n_rows]
    for changed in ({"shop": "west"}, {"shop": None}, {"price": np.nan}):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fitted.predict(some.assign(**changed))
        assert [one.category is SuspectedMistakeWarning for one in caught] == [n_rows > 2]


def test_words_that_are_missing_are_counted_apart(table):
    fitted = make().fit(table[10:50], table["label"][10:50])
    new = table[60:80].assign(shop=[None] * 6 + ["west", "east", "up"] + ["north"] * 11)
    with pytest.warns(UserWarning) as caught:
        fitted.predict(new)
    first, second = (str(one.message) for one in caught)
    assert "'shop' has no word in 6 of 20 rows, first in row 0, and had one in all rows" in first
    assert "'west' in row 6 and 2 more words." in second
    most = new.assign(shop=[None] * 6 + ["west", "east", "up"] * 2 + ["north"] * 8)  # lost or new
    for doubt in ("no word in 6 of 20 rows", "'west' in row 6 and 2 more words"):
        with pytest.warns(SuspectedMistakeWarning, match=doubt):
            fitted.predict(most)
    with pytest.warns(SuspectedMistakeWarning, match="no word in 20 of 20 rows"):
        fitted.predict(new.assign(shop=None))


def test_a_transformer_without_names_of_columns_is_refused():
    text = [("note", TfidfVectorizer(), "note")]
    with pytest.raises(ValueError, match=r"TfidfVectorizer\(\) .*the guide has a column of text"):
        make_table_pipeline("zoo/RN20", "path", transformers=text)


def test_words_may_be_read_as_numbers(table):
    """As a file without types may have them, where fit had text."""
    words = table.assign(shop=np.resize(["36", "38", None], len(table)))
    clf = make().fit(words[:40], words["label"][:40])
    expected = clf.predict_proba(words[40:])
    for numbers in (words["shop"].astype(float), words["shop"].astype("Int64")):
        with no_warning():
            found = clf.predict_proba(words.assign(shop=numbers)[40:])
        np.testing.assert_array_equal(found, expected)


def test_each_column_of_pictures_has_its_experts(table):
    pairs = table[:40].assign(back=table["path"].to_numpy()[-40:])
    clf = make(images=["path", "back"], categories=()).fit(pairs, pairs["label"])
    names = [f"{column}__zoo/RN20:zero-shot" for column in ("path", "back")]
    assert set(names) <= set(clf.expert_names_)
    clf.set_params(columntransformer__back__views="mirror")
    assert clf.get_params()["columntransformer__path__views"] is None


def test_errors_in_other_columns_come_before_pictures_are_embedded(table):
    words = table[:40].assign(price="12 EUR", path="no_such_file.png")
    with pytest.raises(ValueError, match="Column 'price' has '12 EUR' in row 0, where a number"):
        make().fit(words, words["label"])
    with pytest.raises(ImageError, match="no_such_file"):
        make(numbers=()).fit(words, words["label"])


@pytest.mark.parametrize("place", [0, 1])
def test_a_transformer_that_loses_the_index_is_named(table, place):
    """pandas joins columns by the index, so they would go to other rows."""
    scale = StandardScaler()
    new = FunctionTransformer(lambda frame: pd.DataFrame({"z": frame["price"].to_numpy()}))
    kept = FunctionTransformer(lambda frame: frame.rename(columns={"price": "z"}))
    train = table[:40].fillna({"price": 0}).reset_index(drop=True)
    told = "Transformer 'z' does not keep the index of the rows"
    for rows in (train, train.sample(frac=1, random_state=0)):
        steps = [("other", scale, ["price"])]
        steps.insert(place, ("z", new, ["price"]))
        clf = make(numbers=(), categories=(), transformers=steps)
        with pytest.warns(SuspectedMistakeWarning, match=told):
            clf.fit(rows, rows["label"])
        steps[place] = ("z", kept, ["price"])
        with no_warning():
            make(numbers=(), categories=(), transformers=steps).fit(rows, rows["label"])


def test_a_transformer_that_needs_more_rows_is_not_blamed(table):
    def many(frame):
        if len(frame) == 2:
            raise ValueError("two rows")
        return frame

    new = FunctionTransformer(lambda frame: pd.DataFrame({"z": frame["price"].to_numpy()}))
    rows = table[:40].fillna({"price": 0}).reset_index(drop=True)
    steps = [("z", new, ["price"]), ("many", FunctionTransformer(many), ["price"])]
    found = said(make(numbers=(), categories=(), transformers=steps).fit, rows, rows["label"])
    assert [one for one in found if "keep the index" in one] == [
        one for one in found if "Transformer 'z'" in one
    ]
    assert any("Transformer 'z'" in one for one in found)


def test_polars(table, fitted):
    polars = pytest.importorskip("polars")
    frame = polars.from_pandas(table)
    clf = make().fit(frame[:40], table["label"][:40])
    np.testing.assert_allclose(
        clf.predict_proba(frame[40:]), fitted.predict_proba(table[40:]), atol=1e-5
    )


@pytest.mark.parametrize(
    ("price", "shop"),
    [
        ("Float64", "string"),
        ("double[pyarrow]", "string[pyarrow]"),
        ("object", "object"),
        ("float32", "category"),
    ],
)
def test_types_of_columns_change_nothing(table, fitted, price, shop):
    pytest.importorskip("pyarrow")
    typed = table.astype({"price": price, "shop": shop})
    clf = make().fit(typed[:40], table["label"][:40])
    for rows in (typed[40:], table[40:]):
        np.testing.assert_allclose(
            clf.predict_proba(rows), fitted.predict_proba(table[40:]), atol=1e-5
        )


def test_whole_numbers_and_flags_with_missing_values(table):
    rows = table[:40].assign(rooms=pd.array(np.arange(40) % 4, "Int64"))
    rows["new"] = pd.array(np.arange(40) % 3 == 0, "boolean")
    rows.loc[7, ["rooms", "new"]] = pd.NA
    clf = make(numbers=["rooms", "new", "price"])
    clf.fit(rows.assign(price=[Decimal("9.90")] * 40), rows["label"])
    assert np.isfinite(clf.predict_proba(rows.assign(rooms=np.nan))).all()
    words = make(numbers=(), categories=["rooms", "new"]).fit(rows, rows["label"])
    as_floats = rows.assign(rooms=rows["rooms"].astype(float))
    with no_warning():
        np.testing.assert_array_equal(words.predict(as_floats), words.predict(rows))


def test_it_is_cloned_searched_and_saved(table, fitted):
    skops = pytest.importorskip("skops.io")
    rows, labels = table[:40], table["label"][:40]
    search = GridSearchCV(clone(fitted), {"adaptivebackboneensemble__head": ["linear", "auto"]})
    search.fit(rows, labels)
    kept = skops.loads(skops.dumps(fitted), trusted=skops_trusted_types())
    for again in (pickle.loads(pickle.dumps(fitted)), kept):
        np.testing.assert_array_equal(again.predict(table[40:]), fitted.predict(table[40:]))


def test_further_columns_and_another_last_step(table):
    rows = table[:40].assign(day=pd.date_range("2026-01-01", periods=40))
    month = FunctionTransformer(
        lambda days: days.apply(lambda day: day.dt.month), feature_names_out="one-to-one"
    )
    clf = make(estimator=Ridge(), transformers=[("day", month, ["day"])])
    clf.fit(rows, rows["price"].fillna(10))
    assert clf[:-1].transform(rows).filter(like="day__").shape == (40, 1)


@pytest.mark.parametrize("name", ["front___photo", "photo_", "verbose", "numbers"])
def test_a_column_of_pictures_may_have_any_name(table, name):
    rows = table[:40].rename(columns={"path": name})
    clf = make(images=name).fit(rows, rows["label"])
    assert clf.expert_names_[0].endswith("__zoo/RN20:zero-shot")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"images": []}, ValueError, "images is empty; name the columns of pictures"),
        ({"numbers": ["price", 3]}, TypeError, "numbers has 3, where the name of a column"),
        ({"images": ""}, TypeError, "images has '', where the name of a column is needed"),
        (
            {"numbers": None},
            TypeError,
            "numbers has None, where the name of a column is needed, a str. If .*, leave out num",
        ),
        ({"transformers": [("a", StandardScaler())]}, TypeError, r"has .* where \(name, transfor"),
        ({"transformers": "size"}, TypeError, r"has 's', where \(name, transformer, columns\) is"),
        (
            {"transformers": [("a", Ridge, [])]},
            TypeError,
            "Transformer 'a' is the class Ridge. M",
        ),
        ({"categories": ["price"]}, ValueError, "The column 'price' is named twice"),
        ({"images": ["path", "path"]}, ValueError, "The column 'path' is named twice"),
        ({"view": "mirror"}, TypeError, "There is no parameter 'view'; did you mean 'views'"),
    ],
)
def test_mistakes_are_named(options, error, message):
    with pytest.raises(error, match=message):
        make(**options)


def test_a_column_that_the_table_lacks_is_named(table, fitted):
    with pytest.raises(ValueError, match="X has no column 'paths'; did you mean 'path'"):
        make(images="paths").fit(table, table["label"])
    with pytest.raises(ValueError, match="X has no column 'size'; it has 'path', 'label'"):
        make(numbers=["price", "size"]).fit(table, table["label"])
    for method in (fitted.predict, lambda rows: fitted.score(rows, table["label"])):
        with pytest.raises(ValueError, match="X has no column 'price'; did you mean 'Price'"):
            method(table.rename(columns={"price": "Price"}))


def test_columns_of_one_name_are_refused(table, fitted):
    X = pd.concat([table, table[["label"]]], axis=1)
    methods = make().fit, fitted.score, lambda rows, labels: fitted.predict(rows)
    for method in methods:
        with pytest.raises(ValueError, match=r"X has columns of the same name: 'label'. Rename"):
            method(X, table["label"])


@pytest.mark.parametrize("form", [lambda t: t.to_dict("list"), pd.DataFrame.to_numpy, to_arrow])
def test_rows_are_a_frame(table, fitted, form):
    X = form(table)
    for method in (lambda: make().fit(X, table["label"]), lambda: fitted.predict(X)):
        with pytest.raises(ValueError, match="columns are taken by their names, such as 'price'"):
            method()


@pytest.fixture(scope="module")
def gaps(table):
    """Rows of two pictures, some of which are missing or no pictures."""
    rows = table.assign(back=table["path"].to_numpy()[::-1])
    rows.loc[[4, 70], "path"] = None
    rows.loc[[8, 72], "back"] = [__file__, "no_such_file.png"]
    return rows


def test_rows_with_unreadable_pictures_are_left_out(gaps):
    clf = make(images=["path", "back"], on_error="nan")
    said = r"2 of 40 images cannot be read and are left out: row 4, row 8 \('.*test_table_pipel"
    with pytest.warns(UserWarning, match=said):
        clf.fit(gaps[:40], gaps["label"][:40])
    rest, bad = gaps[40:], np.isin(np.arange(40, 80), [70, 72])
    with pytest.warns(UserWarning, match=r"get None.*: row 30, row 32 \('no_such_file.png'\)"):
        predicted = clf.predict(rest)
    assert [label is None for label in predicted] == bad.tolist()
    with pytest.warns(UserWarning, match="get NaN"):
        proba = clf.predict_proba(rest)
    np.testing.assert_array_equal(np.isnan(proba).all(axis=1), bad)
    labels = clf.set_params(unreadable_label="none").predict(rest)
    assert (labels == "none").tolist() == bad.tolist()
    with no_warning():
        np.testing.assert_allclose(clf.predict_proba(rest[~bad]), proba[~bad], atol=1e-6)
        score = clf.score(rest[~bad], rest["label"][~bad])
    with pytest.warns(UserWarning, match="do not count"):
        assert clf.score(rest, rest["label"]) == score


@pytest.mark.parametrize("submodels", [False, True])
def test_warnings_name_rows_as_they_were_given_with_unreadable_pictures(submodels, gaps):
    gaps = gaps.copy()
    gaps.loc[20, ["path", "back"]] = gaps.loc[21, ["path", "back"]].tolist()
    y = gaps["label"].mask(gaps.index == 20, gaps["label"][0] + " of another kind")
    clf = make(images=["path", "back"], numbers=(), categories=(), on_error="nan")
    texts = said(clf.set_params(submodels=submodels).fit, gaps[:40], y[:40])
    assert any(text.startswith("Rows 20 and 21 of X are") for text in texts)
    pictures = make_backbone_pipeline(BACKBONES, on_error="nan")
    for call in (find_label_issues, lambda clf, X, y: OpenSetClassifier(clf).fit(X, y)):
        texts = said(partial(call, pictures, gaps["path"][:40], y[:40]))
        assert any(text.startswith("Rows 20 and 21 of X are") for text in texts)
    y[30] = y[0].upper()
    texts = said(clf.fit, gaps[:40], y[:40])
    assert any("in row 0, and" in text and "first in row 30" in text for text in texts)
    groups = np.arange(40)
    gaps.loc[20] = gaps.loc[21]
    texts = said(partial(clf.fit, gaps[:40], gaps["label"][:40], groups=groups))
    assert any("such as row 21 of row 20" in text for text in texts)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_comparison_names_rows_of_words_as_they_were_given(n_jobs, table):
    rows = table.fillna({"shop": "north", "price": 0})
    rows.loc[77, "shop"], rows.loc[75, "shop"] = None, "North"
    compare = partial(compare_with_baselines, make(), rows, rows["label"], cv=2, n_jobs=n_jobs)
    texts = [text for text in said(compare) if "'shop'" in text]
    assert sum("and 'North', first in row 75, which differ only in case" in t for t in texts) == 1
    assert sum("'North' in row 75. Fit had 'north'" in text for text in texts) == 1
    assert sum("has no word in 1 of 40 rows, first in row 77" in text for text in texts) == 1


def test_columns_without_names_are_told_only_if_they_may_be_embeddings():
    X, y = load_iris(return_X_y=True, as_frame=True)
    log = make_pipeline(FunctionTransformer(np.log1p), StandardScaler())
    columns = ColumnTransformer([("log", log, [*X[:2]]), ("rest", StandardScaler(), [*X[2:]])])
    columns.set_output(transform="pandas")
    clf = make_pipeline(columns, AdaptiveBackboneEnsemble(random_state=0))
    assert not any("lost their names" in text for text in said(clf.fit, X, y))


def test_a_transformer_that_gives_no_names_is_told(table):
    def make_year(**names):
        step = make_pipeline(FunctionTransformer(pd.DataFrame.fillna, kw_args=zero, **names), scale)
        return make(numbers=(), categories=(), transformers=[("year", step, ["price"])])

    zero, scale = {"value": 0}, StandardScaler()

    unnamed = make_year()
    texts = said(unnamed.fit, table, table["label"])
    told = any("have lost their names" in text and "feature_names_out" in text for text in texts)
    # Older versions of scikit-learn keep the names here.
    assert told != any("zoo/" in name for name in unnamed[:-1].transform(table))
    named = make_year(feature_names_out="one-to-one")
    assert not any("names" in text for text in said(named.fit, table, table["label"]))


def test_missing_pictures_of_a_later_column_are_told_before_others_are_embedded(gaps):
    whole = gaps[10:40]
    clf = make(images=["path", "back"], head="linear").fit(whole, whole["label"])
    rows = whole.assign(path=__file__)  # no picture, which is found when it is embedded
    rows.iloc[5, rows.columns.get_loc("back")] = "no_such_file.png"
    for method, labels in ((clone(clf).fit, [rows["label"]]), (clf.predict, [])):
        with pytest.raises(ImageError, match=r"row 5: .*no_such_file.png") as caught:
            method(rows, *labels)
        assert caught.value.__notes__ == ["It is in the column 'back'."]


def test_unreadable_pictures_of_a_column_that_may_have_none_are_an_error(gaps):
    clf = make(images=["path", "back"])
    clf.set_params(columntransformer__back__on_error="nan")
    with pytest.raises(ImageError, match="row 4"):
        clf.fit(gaps[:40], gaps["label"][:40])


def test_rows_with_unreadable_pictures_are_not_judged(gaps):
    rows = gaps[:40][gaps["label"][:40].duplicated(keep=False)]
    clf = make(categories=(), on_error="nan", head="linear", calibrate=False, router="uniform")
    with pytest.warns(UserWarning, match="1 of 39 images cannot be read and are left out: row 4"):
        found = compare_with_baselines(clf, rows, rows["label"], cv=2)
    with no_warning():
        again = compare_with_baselines(clf, rows.drop(4), rows["label"].drop(4), cv=2)
    pd.testing.assert_frame_equal(found, again)
    with pytest.warns(UserWarning, match="1 of 39 images cannot be read and are left out: row 4"):
        issues = find_label_issues(clf, rows, rows["label"], cv=2).set_index("row")
    assert issues["predicted_label"].isna().to_numpy().nonzero()[0].tolist() == [4]


def in_both(images, y, **options):
    """What a pipeline of pictures warns of in fit, and one of a table with these pictures."""
    options = {"head": "zero-shot", "estimator": None, **options}
    table = pd.DataFrame({"x": 0.0, "photo": pd.Series(list(images), dtype=object)})
    if isinstance(images, pd.Series):
        table.index = images.index
    alone = make_backbone_pipeline("zoo/ViT-16", **options)
    beside = make_table_pipeline("zoo/ViT-16", "photo", **options)
    return said(alone.fit, images, y), said(beside.fit, table, y)


def test_mistakes_with_pictures_are_told_as_without_a_table(table, tmp_path):
    rows = table.loc[10:29].sort_values("label")
    labels = rows["label"].to_numpy()
    files = []
    for row, path in enumerate(rows["path"]):
        files.append(str(tmp_path / f"img{row}.png"))
        load_image(path).save(files[-1])
    alone, beside = in_both(sorted(files), labels)
    assert "'img10.png' before 'img2.png'" in " ".join(alone)
    assert alone == beside
    sides = np.array(["left arrow", "right arrow"])[np.arange(20) % 2]
    alone, beside = in_both(files, sides, views="mirror")
    assert "differ in left and right alone" in " ".join(alone)
    assert alone == beside
    named = pd.Series(files, index=[f"r{row}" for row in range(20)])
    alone, beside = in_both(named, pd.Series(labels, index=named.index[::-1]))
    assert "X and y have the same index in another order" in " ".join(alone)
    assert alone == beside


def test_exchanged_channels_are_told_of_the_column_that_has_them(table):
    rows = np.random.default_rng(0).permutation(len(table))[:60]
    pixels = [np.asarray(load_image(path))[..., ::-1] for path in table["path"][rows]]
    pair = pd.DataFrame({"good": table["path"][rows].to_numpy(), "bad": pd.Series(pixels)})
    clf = make_table_pipeline("zoo/ViT-16", ["good", "bad"], head="zero-shot")
    with pytest.warns(SuspectedMistakeWarning, match="with red and blue exchanged"):
        clf.fit(pair, table["label"][rows].to_numpy())


def test_paths_are_no_labels(table):
    with pytest.raises(ValueError, match="y holds"):
        make().fit(table, table["path"])


def test_rows_without_a_picture_are_predicted_by_the_other_columns(gaps):
    train, test = gaps[:40], gaps[40:]
    options = {"images": ["path", "back"], "numbers": (), "categories": (), "on_error": "nan"}
    clf = make(**options, submodels=True, unreadable_label="none")
    with pytest.warns(UserWarning, match="2 of 40 images cannot be read and train submodels alone"):
        clf.fit(train, train["label"])
    assert [one.lacks for one in clf.submodels_] == [("path",), ("back",)]
    said = r"2 of 40 images cannot be read and their rows are predicted from other columns: row 30"
    with pytest.warns(UserWarning, match=said):
        proba = clf.predict_proba(test)
    for lacking, other, row in (("path", "back", 30), ("back", "path", 32)):
        alone = make(**{**options, "images": [other]})
        with pytest.warns(UserWarning, match="1 of 40 images cannot be read and are left out"):
            alone.fit(train, train["label"])
        expected = alone.predict_proba(test[row : row + 1])
        np.testing.assert_allclose(proba[row : row + 1], expected, atol=1e-6, err_msg=lacking)
    with pytest.warns(UserWarning):
        labels = clf.predict(test)
        assert clf.score(test, test["label"]) == (labels == test["label"]).mean()
        weights = clf.routing_weights(test)
    assert labels.tolist() == clf.classes_[proba.argmax(axis=1)].tolist()
    assert np.flatnonzero(np.isnan(weights).all(axis=1)).tolist() == [30, 32]
    both = test.iloc[:3].assign(path=None, back=None)
    with pytest.warns(UserWarning, match="get the label 'none'"):
        assert clf.predict(both).tolist() == ["none"] * 3


def test_submodels_learn_from_the_rows_that_have_their_columns(gaps):
    skops = pytest.importorskip("skops.io")
    rows, weights = gaps[:40].copy(), np.linspace(0.5, 1.5, 40)
    rows.loc[rows["label"] == "clothing", "path"] = None  # a class without a picture
    rest = rows["label"] != "clothing"
    options = {"head": "linear", "on_error": "nan", "categories": (), "submodels": True}
    clf = make(**options)
    with pytest.warns(UserWarning, match="No other image shows 'clothing', of which nothing is"):
        clf.fit(rows, rows["label"], sample_weight=weights)
    assert "clothing" not in clf.classes_
    numbers = clf[:-1].transform(rows).iloc[:, :2].to_numpy()
    alone = AdaptiveBackboneEnsemble([("other", slice(0, 2))], head="linear", random_state=0)
    alone.fit(numbers[rest], rows["label"][rest], sample_weight=weights[rest])
    assert [one.lacks for one in clf.submodels_] == [("path",)]
    without = rows[rest].assign(path="no_such_file.png")
    kept = skops.loads(skops.dumps(clf), trusted=skops_trusted_types())
    for again in (clf, pickle.loads(pickle.dumps(clf)), kept):
        with pytest.warns(UserWarning, match="predicted from other columns"):
            found = again.predict_proba(without)
        np.testing.assert_allclose(found, alone.predict_proba(numbers[rest]), atol=1e-4)


def test_other_columns_may_tell_nothing(gaps):
    noise = gaps.assign(x=np.random.default_rng(0).normal(size=len(gaps))).drop([8, 72])
    clf = make(numbers="x", categories=(), on_error="nan", submodels=True)
    found = said(clf.fit, noise, noise["label"])
    assert len(found) == 1 and "train submodels alone" in found[0]


def test_submodels_know_the_classes_of_the_model(gaps):
    """Also if y is a frame of one column."""
    rows = gaps[:40].copy()
    rows.loc[rows["label"] == "clothing", "path"] = None
    clf = make(head="linear", on_error="nan", categories=(), submodels=True)
    with pytest.warns(UserWarning, match="No other image shows 'clothing'"):
        clf.fit(rows, rows[["label"]])
    assert clf.submodels_[0].model.classes_.tolist() == clf.classes_.tolist()


def test_a_score_of_numbered_labels_leaves_out_rows_without_any_picture(gaps):
    rows = gaps[:40].assign(back=gaps["path"][:40])
    codes = np.unique(rows["label"], return_inverse=True)[1]
    options = {"images": ["path", "back"], "numbers": (), "categories": (), "on_error": "nan"}
    clf = make(**options, estimator=LogisticRegression(), submodels=True)
    clf.fit(rows, codes)
    lacks = rows.copy()
    lacks.loc[3, ["path", "back"]] = None
    with pytest.warns(UserWarning, match="2 of 40 images cannot be read and do not count"):
        assert clf.score(lacks, codes) > 0.9
    with pytest.raises(ImageError, match="None of the 40 images can be read"):
        clf.score(rows.assign(path=None, back=None), codes)


def test_submodels_predict_several_outputs(gaps):
    rows = gaps[:40].assign(x=np.arange(40.0))
    several = np.c_[np.arange(40) < 20, np.arange(40) % 2]
    trees = RandomForestClassifier(random_state=0)
    clf = make(numbers="x", categories=(), estimator=trees, on_error="nan", submodels=True)
    with pytest.warns(UserWarning):
        first, second = clf.fit(rows, several).predict_proba(rows.assign(path=None))
        assert (clf.predict(rows.assign(path=None))[:, 0] == several[:, 0]).all()
    assert ((first[:, 1] > 0.5) == several[:, 0]).all()
    assert first.shape == second.shape == (40, 2)


@pytest.mark.parametrize("kind", ["arrow", "datasets"])
def test_pictures_in_tables_of_other_packages(kind, table):
    paths = {"path": table["path"][:24].tolist()}
    if kind == "arrow":
        X = pytest.importorskip("pyarrow").table(paths)
    else:
        X = pytest.importorskip("datasets").Dataset.from_dict(paths)
    y = table["label"][:24].to_numpy()
    clf = make_backbone_pipeline("zoo/RN20", estimator=LogisticRegression())
    expected = clone(clf).fit(paths["path"], y).predict_proba(paths["path"])
    with no_warning():
        np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), expected)


def test_the_score_of_several_outputs_counts_rows_of_which_all_are_right(gaps):
    rows = gaps[:40].assign(x=np.arange(40.0))
    several = np.c_[rows["label"], np.where(np.arange(40) < 20, "low", "high")]
    options = {"numbers": "x", "categories": (), "on_error": "nan"}
    one = MultiOutputClassifier(LogisticRegression())
    clf = make(**options, estimator=one, submodels=True)
    with pytest.warns(UserWarning):
        clf.fit(rows, several)
        predicted = clf.predict(rows)
        right = (predicted == several).all(axis=1)
        assert 0.3 < right.mean() < 1 and clf.score(rows, several) == right.mean()
        weights = np.arange(40.0)
        found = clf.score(rows, pd.DataFrame(several), sample_weight=weights)
    assert found == pytest.approx(np.average(right, weights=weights))


def test_submodels_of_a_regressor(gaps):
    rows, price = gaps[:40].assign(x=np.arange(40.0)), np.arange(40.0)
    clf = make(numbers="x", categories=(), estimator=Ridge(1e-3), on_error="nan", submodels=True)
    with pytest.warns(UserWarning):
        clf.fit(rows, price)
        np.testing.assert_allclose(clf.predict(rows.assign(path=None)), price, atol=0.1)
        assert clf.score(rows.assign(path=None), price) > 0.99


@pytest.mark.parametrize("make_one", [make, lambda **options: make_backbone_pipeline(BACKBONES)])
def test_submodels_need_rows_that_may_lack_a_picture(table, make_one):
    clf = make_one().set_params(submodels=True)
    with pytest.raises(ValueError, match="submodels=True is for a ColumnTransformer as the first"):
        clf.fit(table, table["label"])


def test_submodels_need_other_columns(table):
    clf = make(numbers=(), categories=(), on_error="nan", submodels=True)
    with pytest.raises(ValueError, match="by other columns, and there are none"):
        clf.fit(table, table["label"])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"price": np.inf}, "Column 'price' has inf in row 0, .* real and finite"),
        ({"price": "15.5"}, r"'price' has '15.5' in row 0, .* is text: .*to_numeric.table.'price'"),
        ({"price": "15,5"}, "'price' has '15,5' in row 0, .* with a decimal point"),
        ({"price": 1 + 1j}, "'price' has .1.1j. in row 0, .* real and finite"),
        ({"price": pd.Timestamp("2026-01-01")}, "'price' has .* dates to transformers"),
        ({"shop": [*["S"] * 5, *[36] * 35]}, "'shop' mixes types: 'S' in row 0 and 36 in row 5"),
        ({"shop": [["north"]] * 40}, "'shop' has .'north'. in row 0, where a word is needed"),
    ],
)
def test_what_is_no_number_or_word_is_named(table, columns, message):
    rows = table[:40].assign(**columns)
    with pytest.raises(ValueError, match=message):
        make().fit(rows, rows["label"])


def test_numbers_that_are_missing_in_predict_alone(table):
    complete = table[10:50].assign(area=1.0 * np.arange(40) % 7)
    clf = make(numbers=["price", "area"]).fit(complete, complete["label"])
    with pytest.warns(SuspectedMistakeWarning, match="'area' has no number in 40 of 40 rows, fir"):
        clf.predict(complete.assign(area=None))
    one_lacks = complete.assign(area=complete["area"].where(complete["area"].index != 12))
    with no_warning():  # as it may be by chance in a fold of a cross-validation
        clf.predict(one_lacks[:20])
        make(numbers="area").fit(one_lacks, one_lacks["label"]).predict(one_lacks.assign(area=None))
    clf.set_params(columntransformer__numbers__numberimputer__add_indicator=False)
    assert np.isfinite(clf.fit(complete, complete["label"]).predict_proba(one_lacks)).all()


def test_columns_that_most_rows_of_fit_lack(table):
    """As after a join by an index that is another one in most rows."""
    rows, few = table[:40], np.arange(40) < 3
    lacking = rows.assign(**{name: rows[name].where(few, None) for name in ("price", "shop")})
    clf = make().fit(lacking, rows["label"])
    with pytest.warns(SuspectedMistakeWarning) as told:
        clf.predict(table[40:])
    texts = " ".join(str(one.message) for one in told)
    for name, kind in (("price", "number"), ("shop", "word")):
        said_of = rf"'{name}' has a {kind} in \d+ of \d+ rows, and had one in only [23] of 40"
        assert re.search(said_of, texts), texts
    with no_warning():  # few rows; as many as in fit; most of them in fit
        clf.predict(table[40:42])
        clf.predict(lacking)
        most = rows.assign(price=rows["price"].where(np.arange(40) % 3 > 0))
        make().fit(most, rows["label"]).predict(rows)


@pytest.mark.parametrize("kind", ["numbers", "categories"])
def test_numbers_that_are_rarely_given_may_be_given_by_chance(table, fitted, kind):
    """In many columns and many calls, too."""
    transformer = clone(fitted[0].named_transformers_[kind])
    if kind == "numbers":
        transformer = transformer[0]
    rng = np.random.default_rng(0)

    def drawn(n_rows):
        given = rng.random((n_rows, 30)) < 0.4
        columns = {f"column {i}": np.where(of, "3", None) for i, of in enumerate(given.T)}
        rows = pd.DataFrame(columns)
        return rows.astype(float) if kind == "numbers" else rows

    transformer.fit(drawn(300))
    with no_warning():
        for n_rows in np.resize([2, 3, 4, 6, 8, 12, 20], 70):
            transformer.transform(drawn(n_rows))


def test_few_rows_or_few_numbers_do_not_tell_of_columns_that_fit_lacked(fitted):
    imputer = clone(fitted[0].named_transformers_["numbers"][0])
    imputer.fit(pd.DataFrame({"price": [1.0, *[np.nan] * 999]}))
    given = pd.DataFrame({"price": np.ones(20)})
    with pytest.warns(SuspectedMistakeWarning, match="in 3 of 3 rows, and had one in only 1 of 10"):
        imputer.transform(given[:3])
    with no_warning():
        imputer.transform(given[:2])
        imputer.transform(given.assign(price=given["price"].where(given.index < 15)))
        imputer.fit(pd.DataFrame({"price": np.where(np.arange(1000) % 5 < 3, 1.0, np.nan)}))
        imputer.transform(given)


@pytest.mark.parametrize(("name", "kind"), [("price", "number"), ("shop", "word")])
def test_a_column_that_lacks_values_of_a_class(table, name, kind):
    rows = table[:40]
    label = rows["label"].mode()[0]
    in_class = rows["label"] == label
    lacking = rows.assign(**{name: rows[name].where(~in_class, None)})
    lacking[name] = lacking[name].where(in_class | lacking[name].notna(), rows[name].mode()[0])
    says = (
        f"Column {name!r} has no {kind} in any of the {in_class.sum()} rows of {label!r}, and one"
    )
    clf = make()
    with pytest.warns(SuspectedMistakeWarning, match=says):
        clf.fit(lacking, rows["label"])
    one_has = lacking.copy()
    one_has.loc[in_class.idxmax(), name] = rows[name].mode()[0]
    few = [*np.flatnonzero(in_class)[:1], *np.flatnonzero(~in_class)]  # by chance in a row
    for some in (one_has, lacking.iloc[few]):
        texts = said(clf.fit, some, some["label"])
        assert not any("in any of the" in text for text in texts)
    labels = rows["label"].where(~in_class, None)
    given = lacking.assign(**{name: rows[name].where(in_class, None)})
    given[name] = given[name].where(~in_class | given[name].notna(), rows[name].mode()[0])
    texts = said(clf.set_params(adaptivebackboneensemble__unlabeled="ignore").fit, given, labels)
    assert any(f"has no {kind} in any of the {(~in_class).sum()} rows with" in one for one in texts)


def lacks(numbers, y):
    texts = said(NumberImputer().fit, pd.DataFrame(numbers), y)
    return [text for text in texts if "in any of the" in text]


def test_rows_without_a_label_are_of_no_class():
    y = np.arange(80) % 2
    price = np.where(y == 0, np.nan, np.arange(80.0))
    for none in (-1, np.nan, None):
        some = np.where(np.arange(80) % 4 < 2, y, none)
        (text,) = lacks({"price": price, "size": price, "weight": 1.0}, some)
        assert "Columns 'price', 'size' have no number in any of the 20 rows of 0" in text
        (text,) = lacks({"price": np.where(np.arange(80) % 4 < 2, np.nan, 1.0)}, some)
        assert "Column 'price' has no number in any of the 40 rows with a label" in text
    signs = np.where(y == 0, -1, 1)
    assert "in any of the 40 rows of -1" in lacks({"price": price}, signs)[0]


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_few_labelled_rows_lack_values_by_chance(share):
    rng = np.random.default_rng(0)
    for n_labelled in (2, 3, 4, 6) * 10:
        table = np.where(rng.random((200, 10)) < share, np.nan, rng.normal(size=(200, 10)))
        y = np.full(200, None)
        y[:n_labelled] = np.arange(n_labelled) % 2
        assert not lacks(table, y)


@pytest.mark.parametrize(("name", "kind"), [("price", "number"), ("shop", "word")])
def test_a_column_without_any_value(table, name, kind):
    rows = table[:40].assign(**{name: None})
    with pytest.warns() as told:
        clf = make().fit(rows, rows["label"])
        clf.predict(rows[:5])
    assert [one.category for one in told] == [SuspectedMistakeWarning]
    assert str(told[0].message).startswith(f"Column {name!r} has no {kind} in any row. Leave it")
    if kind == "number":
        with no_warning():  # which has told of it
            clf.predict(table[:40])
    with pytest.warns() as told:
        clf.fit(rows[:19], rows["label"][:19])
    assert [one.category for one in told] == [UserWarning]


def test_words_whose_columns_would_have_one_name(table):
    rows = table[:40].assign(garage=np.resize(["None", "brick", None], 40))
    rows["garage_None"] = np.resize(["", "a", "b", "c"], 40)
    clf = make(categories=["garage", "garage_None"]).fit(rows, rows["label"])
    names = clf[0].named_transformers_["categories"].get_feature_names_out().tolist()
    assert names[:3] == ["garage_None", "garage_brick", "garage_None_"]
    assert len(set(names)) == len(names) == 7  # a missing one is also a word of garage_None


def test_new_words_are_named_with_one_that_may_be_meant(table, fitted):
    rows = table[40:43].assign(shop=["south", "west", "North "])
    with pytest.warns(
        SuspectedMistakeWarning, match="'North ' in row 2 and 1 more word. Fit had 'nor"
    ):
        fitted.predict(rows)
    with pytest.warns(UserWarning, match="'west' in row 9. They count") as told:  # a rare one
        fitted.predict(table[40:50].assign(shop=["south"] * 9 + ["west"]))
    assert told[0].category is UserWarning
    floors = table[:40].assign(shop=(np.arange(40) % 3).astype(str))
    clf = make().fit(floors, floors["label"])
    with pytest.warns(SuspectedMistakeWarning, match="'2.0' in row 0 and 1 more word. Fit had '2'"):
        clf.predict(floors[2:4].assign(shop=["2.0", "0.0"]))


@pytest.mark.parametrize(
    ("shop", "message"),
    [
        (lambda n: f"article {n}", "'shop' has 40 words in 40 rows, such as 'article 0'"),
        (lambda n: f"{n} is a text" * 99, r"such as '0 is a text0\.\.\.xt0 is a text', '1 is"),
        (lambda n: "north" if n % 2 else "North" if n else "north ", "0, and 'north', first in r"),
    ],
)
def test_words_that_each_row_has_or_that_are_spelled_twice(table, shop, message):
    rows = table[:40].assign(shop=[shop(n) for n in range(40)])
    with pytest.warns(SuspectedMistakeWarning, match=message):
        make().fit(rows, rows["label"])


def test_a_column_that_is_the_same_as_y_is_told(table):
    few = table[:15]
    with pytest.warns(SuspectedMistakeWarning, match="Column 'label' is the same as y"):
        make(categories="label").fit(few, few["label"])
    some = few["label"].where(np.arange(15) > 4, None)
    told = said(make(categories="label", unlabeled="use").fit, few, some)
    assert any("Column 'label' is the same as y" in one for one in told)
    regressor = make(estimator=Ridge())
    with pytest.warns(SuspectedMistakeWarning, match="Column 'price' is the same as y"):
        regressor.fit(table[10:30], table["price"][10:30])


def test_weights_reach_the_ensemble_with_metadata_routing(table, fitted):
    weights = np.resize([1.0, 1.0, 0.1, 1.9], 40)
    expected = make().fit(table[:40], table["label"][:40], sample_weight=weights)
    with config_context(enable_metadata_routing=True):
        found = make().fit(table[:40], table["label"][:40], sample_weight=weights)
    proba = found.predict_proba(table[40:])
    np.testing.assert_array_equal(proba, expected.predict_proba(table[40:]))
    assert not np.allclose(proba, fitted.predict_proba(table[40:]))


@pytest.mark.parametrize("asks", [True, False])
def test_the_first_step_gets_weights_whether_or_not_images_may_be_unreadable(table, asks):
    weights, rows = np.resize([1.0, 0.1, 1.9], 30), table[10:40]
    embedder = MultiBackboneEmbedder("zoo/RN20", on_error="nan")
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        columns = [("images", embedder, "path"), ("numbers", scaler, ["price"])]
        last = LogisticRegression().set_fit_request(sample_weight=asks)
        clf = BackbonePipeline([("table", ColumnTransformer(columns)), ("last", last)])
        clf.fit(rows, rows["label"], sample_weight=weights)
        scaled = clf[0].transform(rows)
    weighted = np.average(rows["price"], weights=weights)
    assert clf[0].named_transformers_["numbers"].mean_ == pytest.approx(weighted)
    alone = LogisticRegression().fit(scaled, rows["label"], weights if asks else None)
    np.testing.assert_allclose(clf[-1].coef_, alone.coef_, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("code", "is_told"), [(-999, True), (9_999_999, True), (99, False)])
def test_numbers_that_stand_for_missing_ones(table, code, is_told):
    rows = table[:40].assign(price=table["price"].where(table.index % 5 > 0, code))
    message = f"'price' has {code} in 8 of 40 rows, first in row 0"
    assert is_told == any(message in one for one in said(make().fit, rows, rows["label"]))


def test_another_unit_in_predict_is_told_whatever_the_last_step(table):
    rows, new = table[10:50], table[50:]
    regressor = make(categories=(), estimator=Ridge()).fit(rows, 2 * rows["price"].to_numpy() + 1)
    with no_warning():
        regressor.predict(new)
    with pytest.warns(SuspectedMistakeWarning, match="column 'price' are mostly far from those"):
        regressor.predict(new.assign(price=100 * new["price"]))


def test_a_number_far_from_all_others_is_told(table):
    rows = table[10:50].assign(price=table["price"].where(table.index != 12, 10_500))
    with pytest.warns(SuspectedMistakeWarning, match="Column 'price' has 10500 in row 2, so far"):
        make(categories=()).fit(rows, rows["label"])
    for ordinary in (1.0 * (table.index == 12), np.exp(np.random.default_rng(0).normal(size=80))):
        rows = table.assign(price=ordinary)[10:50]
        assert not said(make(categories=()).fit, rows, rows["label"])


def test_ids_of_objects_are_told_to_be_groups(table):
    rows = table[:40].sort_values("label").assign(shop=np.arange(40) // 4)
    rows["shop"] = rows["label"] + rows["shop"].astype(str)
    with pytest.warns(SuspectedMistakeWarning, match="such as 4 rows with 'clothing0'.*as groups"):
        make().fit(rows, rows["label"])
    rows["shop"] = np.where(np.arange(40) == 20, "clothing0", rows["shop"])
    assert not any("same word" in text for text in said(make().fit, rows, rows["label"]))


@pytest.mark.parametrize("estimator", [None, Ridge()])
def test_a_column_that_numbers_the_rows_is_told_although_it_is_scaled(table, estimator):
    numbers = np.random.default_rng(0).permutation(80)
    rows = table.assign(item_id=numbers, line=np.arange(80))[10:50]
    y = rows["label"] if estimator is None else rows["price"] ** 2
    for name in ("item_id", "line"):
        told = said(make(numbers=name, categories=(), estimator=estimator).fit, rows, y)
        assert sum(text.startswith(f"Column {name!r}") for text in told) == 1
        assert not any("numbers__" in text for text in told)


def test_another_unit_is_told_once(table, fitted):
    (text,) = said(fitted.predict, table[40:60].assign(price=100 * table["price"]))
    assert text.startswith("Values of column 'price' are mostly far from those of fit")


def test_columns_that_no_head_reads_are_named(table):
    message = "No head reads 'numbers__price', 'categories__shop_north', .* head='kernel' reads"
    rows = table[10:50]
    with pytest.warns(SuspectedMistakeWarning, match=message):
        make(head="kernel").fit(rows, rows["label"])
    heads = ["kernel", "linear-all"]
    assert not said(make(head=heads).fit, rows, rows["label"])
    assert not said(make(head="kernel", numbers=(), categories=()).fit, rows, rows["label"])
