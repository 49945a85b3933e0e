"""Tests of the command skclipens, on folders of real pictures."""

import io
import os
import re
import shutil
import subprocess
import sys
import tomllib
from contextlib import nullcontext
from datetime import date, time
from importlib.metadata import EntryPoint
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from _said import no_warning
from click.testing import CliRunner
from PIL import Image
from safetensors.numpy import save_file
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.svm import LinearSVC

import skclipens
from skclipens import (
    CascadeClassifier,
    ImageRetriever,
    MultiBackboneEmbedder,
    cli,
    make_backbone_pipeline,
    make_table_pipeline,
)
from skclipens.cli import _commands
from skclipens.cli._options import split_at_commas
from skclipens.cli._outputs import beside
from skclipens.cli._rows import rows_for
from skclipens.datasets import load_emoji, load_folder, load_table
from skclipens.labels import OpenSetClassifier
from skclipens.model_selection import FewShotSplit, compare_with_baselines
from skclipens.pipeline import BackbonePipeline
from skclipens.pipeline._column_types import types_of_columns

COMMANDS = ["fit", "predict", "evaluate", "compare", "name", "search", "embed"]
CLASSES = ["bird", "clothing", "geometric shape"]
BACKBONES = ["zoo/RN20", "zoo/ViT-8"]
SMALL = ["--backbones", ",".join(BACKBONES), "--device", "cpu"]
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Folders "train" and "test" with four pictures of each class."""
    emoji, root = load_emoji(), tmp_path_factory.mktemp("photos")
    for name in CLASSES:
        files = emoji.filenames[emoji.target_names[emoji.target] == name]
        for part, some in (("train", files[:4]), ("test", files[4:8])):
            folder = root / part / name.replace(" ", "_")
            folder.mkdir(parents=True)
            for file in some:
                shutil.copy(file, folder)
    return root


def run(*arguments, fails=False):
    result = CliRunner().invoke(_commands.cli, [str(one) for one in arguments])
    assert (result.exit_code != 0) == fails, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture(scope="module")
def model(photos):
    path = photos / "model.joblib"
    told = run("fit", photos / "train", "-o", path, "--cache", photos / "cache", *SMALL)
    assert "model.joblib: 3 classes." in told.stderr
    return path


@pytest.fixture(scope="module")
def unseen(photos):
    return load_folder(photos / "test").filenames


def test_a_fitted_model_is_the_librarys(model, photos, unseen):
    clf = joblib.load(model)
    assert isinstance(clf, BackbonePipeline)
    assert clf.classes_.tolist() == CLASSES
    params = clf[0].get_params()
    assert (params["cache"], params["device"], params["verbose"]) == (False, "auto", False)
    train = load_folder(photos / "train")
    same = make_backbone_pipeline(BACKBONES, random_state=0, head=["auto"], device="cpu")
    same.fit(train.filenames, train.target_names[train.target])
    np.testing.assert_allclose(clf.predict_proba(unseen), same.predict_proba(unseen), atol=1e-5)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_predict_writes_labels_and_probabilities(model, photos, unseen, tmp_path, ending):
    out = tmp_path / f"out.{ending}"
    run("predict", model, photos / "test", "-o", out)
    frame = pd.read_csv(out) if ending == "csv" else pd.read_parquet(out)
    assert frame["path"].tolist() == unseen.tolist()
    assert list(frame.columns) == ["path", "label", *(f"probability__{c}" for c in CLASSES)]
    proba = joblib.load(model).predict_proba(unseen)
    np.testing.assert_allclose(frame.iloc[:, 2:].to_numpy(), proba, atol=1e-5)
    assert frame["label"].tolist() == [CLASSES[i] for i in proba.argmax(axis=1)]


def test_predict_takes_models_of_the_library_files_and_tables(photos, unseen, tmp_path):
    named = {"head": "zero-shot", "router": "uniform", "calibrate": False, "class_names": CLASSES}
    clf = make_backbone_pipeline("zoo/RN20", **named).fit(unseen[:1])
    joblib.dump(clf, tmp_path / "mine")
    pd.DataFrame({"file": unseen[:2]}).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "broken.png").write_bytes(b"?")
    told = run("predict", tmp_path / "mine", tmp_path / "t.csv", unseen[5], tmp_path)
    rows = told.stdout.splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == [
        *unseen[[0, 1, 5]],
        str(tmp_path / "broken.png"),
    ]
    assert rows[-1].endswith("broken.png,,,,")
    assert "Warning: 1 of 4 images cannot be read and have no label: " in told.stderr


def test_files_of_a_folder_that_are_left_out_are_named(model, unseen, tmp_path):
    names = ["a.JPE", "b.jp2", "c.pnm"]
    for name in (*names, "no_ending", ".hidden"):
        shutil.copy(unseen[0], tmp_path / name)
    told = run("predict", model, tmp_path)
    rows = told.stdout.splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [str(tmp_path / name) for name in names]
    assert f"Left out, as no images, or read already: {tmp_path / 'no_ending'}." in told.stderr


def test_labels_are_those_that_the_model_predicts(photos, unseen, tmp_path):
    paths, labels = load_folder(photos / "train", return_X_y=True)
    known = labels != "geometric shape"
    rejects = OpenSetClassifier(LogisticRegression(C=10), reject_rate=0.3, cv=4)
    clf = make_backbone_pipeline(BACKBONES, estimator=rejects).fit(paths[known], labels[known])
    expected = clf.predict(unseen)
    assert 0 < (expected == "").sum() < len(unseen)
    joblib.dump(clf, tmp_path / "m")
    run("predict", tmp_path / "m", photos / "test", "-o", tmp_path / "p.csv")
    frame = pd.read_csv(tmp_path / "p.csv")
    assert frame["label"].tolist() == np.where(expected == "", "rejected", expected).tolist()
    np.testing.assert_allclose(frame.iloc[:, 2:].astype(float), clf.predict_proba(unseen))

    told = run("evaluate", tmp_path / "m", photos / "test", "-o", tmp_path / "r.html", fails=True)
    assert "It knows bird, clothing. Call images of none of these 'rejected'." in told.stderr
    shutil.copytree(photos / "test", tmp_path / "test")
    (tmp_path / "test" / "geometric_shape").rename(tmp_path / "test" / "rejected")
    told = run("evaluate", tmp_path / "m", tmp_path / "test", "-o", tmp_path / "r.html")
    true = np.repeat(["bird", "clothing", ""], 4)
    assert f"accuracy {(expected == true).mean():.1%}" in told.stderr
    page = (tmp_path / "r.html").read_text("utf-8")
    assert f"<td>{(expected == '').sum()} are called &#x27;rejected&#x27;</td>" in page
    assert "<td>2 of 2 that the model knows</td>" in page
    shutil.rmtree(tmp_path / "test" / "bird")
    shutil.rmtree(tmp_path / "test" / "clothing")
    told = run("evaluate", tmp_path / "m", tmp_path / "test", "-o", tmp_path / "r.html")
    assert f"accuracy {(expected[-4:] == '').mean():.1%}" in told.stderr
    told = run("evaluate", tmp_path / "m", tmp_path / "p.csv", "-o", tmp_path / "r.html")
    assert "p.csv' are predictions of a model" in told.stderr


def test_a_model_without_probabilities_has_labels_alone(photos, unseen, tmp_path):
    paths, labels = load_folder(photos / "train", return_X_y=True)
    clf = make_backbone_pipeline(BACKBONES, estimator=LinearSVC()).fit(paths, labels)
    joblib.dump(clf, tmp_path / "m")
    run("predict", tmp_path / "m", photos / "test", "-o", tmp_path / "p.csv")
    frame = pd.read_csv(tmp_path / "p.csv")
    assert list(frame.columns) == ["path", "label"]
    assert frame["label"].tolist() == clf.predict(unseen).tolist()
    page = tmp_path / "r.html"
    told = run("evaluate", tmp_path / "m", photos / "test", "-o", page, fails=True)
    assert "LinearSVC has no probabilities to report on" in told.stderr


def test_a_model_may_be_one_step(photos, unseen, tmp_path):
    clf = BackbonePipeline([("cascade", CascadeClassifier(BACKBONES, thresholds=0.5))])
    clf.fit(*load_folder(photos / "train", return_X_y=True))
    joblib.dump(clf, tmp_path / "m")
    run("predict", tmp_path / "m", photos / "test", "-o", tmp_path / "p.csv")
    assert pd.read_csv(tmp_path / "p.csv")["label"].tolist() == clf.predict(unseen).tolist()


def test_a_search_is_its_best_model(photos, unseen, tmp_path):
    train = load_folder(photos / "train")
    clf = make_backbone_pipeline("zoo/RN20", head="linear", random_state=0)
    rules = {"adaptivebackboneensemble__router": ["uniform", "static"]}
    search = GridSearchCV(clf, rules, cv=2).fit(train.filenames, train.target)
    joblib.dump(search, tmp_path / "search")
    run("predict", tmp_path / "search", photos / "test", "-o", tmp_path / "out.csv")
    labels = pd.read_csv(tmp_path / "out.csv")["label"]
    assert labels.tolist() == search.predict(unseen).tolist()


def test_tables_name_single_files_so_that_any_folder_can_read_them(unseen, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(unseen[0]).parent)
    run("name", Path(unseen[0]).name, "--classes", "a,b", "-o", tmp_path / "names.csv", *SMALL)
    assert load_table(tmp_path / "names.csv").filenames.tolist() == [unseen[0]]


def test_names_need_no_labels(photos, unseen):
    told = run("name", photos / "test", "--classes", "'bird', shirt", *SMALL)
    assert told.stdout.splitlines()[0] == "path,label,probability__bird,probability__shirt"
    assert len(told.stdout.splitlines()) == 1 + len(unseen)
    assert not told.stderr


def test_each_command_says_what_it_takes_from_the_towers(photos):
    defaults = {"fit": "both with --head auto", "compare": "both.", "embed": "projected."}
    for command, default in defaults.items():
        told = " ".join(run(command, "--help").stdout.split())
        assert f"from the image towers. Default: {default}" in told
    named = "name", photos / "test", "--classes", "bird,shirt"
    assert "No such option" in run(*named, "--features", "pooled", fails=True).stderr


def test_embed_writes_the_columns_of_the_embedder(photos, unseen, tmp_path):
    options = ["--views", "mirror", "--features", "both"]
    run("embed", photos / "test", "-o", tmp_path / "e.parquet", *options, *SMALL)
    frame = pd.read_parquet(tmp_path / "e.parquet").set_index("path")
    assert frame.index.tolist() == unseen.tolist()
    embedder = MultiBackboneEmbedder(BACKBONES, views="mirror", features="both", device="cpu")
    expected = embedder.set_output(transform="pandas").fit_transform(unseen)
    assert list(frame.columns) == list(expected.columns)
    np.testing.assert_allclose(frame.to_numpy(), expected.to_numpy(), atol=1e-5)


def test_a_report_is_one_file(model, photos, unseen, tmp_path):
    told = run("evaluate", model, photos / "test", "-o", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text("utf-8")
    labels = np.repeat(CLASSES, 4)
    predicted = joblib.load(model).predict(unseen)
    accuracy = f"{(predicted == labels).mean():.1%}"
    assert f"accuracy {accuracy}" in told.stderr
    assert f"<td>Accuracy</td><td>{accuracy}</td>" in page
    for title in ("Confusion", "Classes", "Reliability", "Who is trusted", "mistakes"):
        assert title in page
    assert page.count("<figure>") == (predicted != labels).sum()
    wrong = pd.Series(predicted[predicted != labels], labels[predicted != labels])
    for (called, true), n in wrong.groupby([wrong, wrong.index]).size().items():
        assert f"<td>{true}</td><td>{called}</td><td>{n} of 4</td>" in page
    assert "zoo/RN20, zoo/ViT-8" in page and skclipens.__version__ in page
    assert "name='viewport'" in page
    assert "zoo/ViT-8:kernel" in page
    sources = re.findall(r'src="([^"]{22})', page)
    assert len(sources) >= 3 and set(sources) == {"data:image/png;base64,"}
    assert "href" not in page


def test_compare_shows_what_the_library_finds(photos, tmp_path):
    cache, out = ["--cache", tmp_path / "cache"], tmp_path / "out.csv"
    run("compare", photos / "train", "--shots", 2, "--splits", 2, "-o", out, *cache, *SMALL)
    train = load_folder(photos / "train")
    expected = compare_with_baselines(
        make_backbone_pipeline(BACKBONES, random_state=0, device="cpu"),
        train.filenames,
        train.target_names[train.target],
        cv=FewShotSplit(2, 2, random_state=0),
    )
    written = pd.read_csv(out, index_col="way")
    assert written.index.tolist() == expected.index.tolist()
    np.testing.assert_allclose(written.to_numpy(), expected.to_numpy(), atol=1e-6)
    lines = run("compare", photos / "train", "--splits", 2, *cache, *SMALL).stdout.splitlines()
    assert len(lines) == 1 + len(expected)
    assert re.fullmatch(r"ensemble +\d+\.\d% +\d+\.\d% *", lines[1])
    assert lines[2].startswith("logistic regression, all columns") and lines[2].count("%") == 5
    told = run("compare", photos / "train", "--splits", 9, *cache, *SMALL, fails=True)
    assert "--splits 9 needs 9 images of a class" in told.stderr and "--shots" in told.stderr


def test_classes_of_few_pictures_count_as_much_as_others(photos, tmp_path):
    cache, out, train = (
        ["--cache", tmp_path / "c"],
        tmp_path / "out.csv",
        load_folder(photos / "train"),
    )
    table = train.frame[["path", "label"]].drop(index=[1, 6, 7, 11])
    table.to_csv(tmp_path / "t.csv", index=False)
    clf = make_backbone_pipeline(BACKBONES, class_weight="balanced", random_state=0, device="cpu")
    weighted = [tmp_path / "t.csv", "--class-weight", "balanced", *cache, *SMALL]
    run("fit", *weighted, "-o", tmp_path / "m")
    written = joblib.load(tmp_path / "m").predict_proba(train.filenames)
    clf.fit(table["path"], table["label"])
    np.testing.assert_allclose(written, clf.predict_proba(train.filenames))
    clf.set_params(adaptivebackboneensemble__class_weight=None).fit(table["path"], table["label"])
    assert not np.allclose(written, clf.predict_proba(train.filenames))
    clf.set_params(adaptivebackboneensemble__class_weight="balanced")
    run("compare", *weighted, "--scoring", "balanced_accuracy", "--splits", 2, "-o", out)
    found = compare_with_baselines(
        clf, table["path"], table["label"], cv=2, scoring="balanced_accuracy"
    )
    shown = pd.read_csv(out, index_col="way")
    assert shown.columns.tolist() == found.columns.tolist()
    np.testing.assert_allclose(shown, found, atol=1e-6)


def test_pictures_of_a_group_stay_together(photos, tmp_path):
    cache, train = ["--cache", tmp_path / "cache"], load_folder(photos / "train")
    table = train.frame[["path", "label"]].assign(
        film=[f"{row // 4} {row % 4 // 3}" for row in range(12)]
    )
    table.to_csv(tmp_path / "t.csv", index=False)
    clf = make_backbone_pipeline(BACKBONES, random_state=0, device="cpu")
    run("fit", tmp_path / "t.csv", "--groups", "film", "-o", tmp_path / "m", *cache, *SMALL)
    written = joblib.load(tmp_path / "m").predict_proba(train.filenames)
    clf.fit(table["path"], table["label"], groups=table["film"])
    np.testing.assert_allclose(written, clf.predict_proba(train.filenames))
    clf.fit(table["path"], table["label"])
    assert not np.allclose(written, clf.predict_proba(train.filenames))
    out = tmp_path / "out.csv"
    compared = ["compare", tmp_path / "t.csv", "--groups", "film", *cache, *SMALL]
    run(*compared, "--shots", 1, "--splits", 2, "-o", out)
    cv, groups = FewShotSplit(1, 2, random_state=0), table["film"]
    found = compare_with_baselines(clf, table["path"], table["label"], cv=cv, groups=groups)
    np.testing.assert_allclose(pd.read_csv(out, index_col="way"), found, atol=1e-6)
    told = run(*compared, fails=True)
    assert "--splits 5 needs 5 groups of a class, but none has more than 2" in told.stderr
    fit = ["-o", tmp_path / "m", *SMALL, "--groups"]
    told = run("fit", photos / "train", *fit, "film", fails=True)
    assert "--groups film is a column of a table, but" in told.stderr
    told = run("fit", tmp_path / "t.csv", *fit, "movie", fails=True)
    assert "--groups movie is no column of" in told.stderr and "'film'" in told.stderr
    table.loc[3, "film"] = ""
    table.to_csv(tmp_path / "t.csv", index=False)
    told = run("fit", tmp_path / "t.csv", *fit, "film", fails=True)
    assert "Column 'film' of" in told.stderr and "names no group in row 3" in told.stderr


def test_pictures_that_a_model_was_fitted_on_are_no_test(model, photos, tmp_path):
    told = run("evaluate", model, photos / "train", "-o", tmp_path / "r.html")
    assert "Warning: The model was fitted on 12 of the 12 images" in told.stderr
    shutil.copytree(photos / "test", tmp_path / "mixed")
    for name in ("bird", "clothing"):
        copied = sorted((photos / "train" / name).iterdir())[0]
        shutil.copy(copied, tmp_path / "mixed" / name / f"copy{copied.suffix}")
    told = run("evaluate", model, tmp_path / "mixed", "-o", tmp_path / "r.html")
    assert "Warning: The model was fitted on 2 of the 14 images" in told.stderr
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "<td>14, 2 of which the model was fitted on</td>" in page
    for part in (photos / "test", tmp_path / "mixed"):
        shutil.copytree(part, tmp_path / "broken" / part.name)
        (tmp_path / "broken" / part.name / "bird" / "broken.png").write_bytes(b"<html>404</html>")
    run("fit", tmp_path / "broken" / "test", "-o", tmp_path / "m", *SMALL)
    told = run("evaluate", tmp_path / "m", tmp_path / "broken" / "mixed", "-o", tmp_path / "r.html")
    assert "fitted on 12 of the 14 images" in told.stderr
    refitted = joblib.load(model).fit(*load_folder(photos / "test", return_X_y=True))
    joblib.dump(refitted, tmp_path / "again")
    told = run("evaluate", tmp_path / "again", photos / "train", "-o", tmp_path / "r.html")
    assert "fitted on" not in told.stderr
    told = run("evaluate", model, photos / "test", "-o", tmp_path / "r.html")
    assert "fitted on" not in told.stderr
    assert "fitted on" not in (tmp_path / "r.html").read_text("utf-8")


def test_a_report_escapes_names_and_leaves_out_what_cannot_be_read(photos, unseen, tmp_path):
    files = [*unseen[:3], tmp_path / "broken.png"]
    files[-1].write_bytes(b"?")
    labels = ["<b>", "bird", "<b>", "bird"]
    pd.DataFrame({"path": files, "label": labels}).to_csv(tmp_path / "t.csv", index=False)
    clf = make_backbone_pipeline("zoo/RN20", head="linear", router="vote")
    joblib.dump(clf.fit(files[:3], labels[:3]), tmp_path / "m")
    told = run("evaluate", tmp_path / "m", tmp_path / "t.csv", "-o", tmp_path / "r.html")
    assert "1 of 4 images cannot be read and are left out" in told.stderr
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "<td>Images</td><td>3</td>" in page
    assert "<td>&lt;b&gt;</td>" in page and "<b>" not in page
    assert "Who is trusted" not in page  # votes have no weights


def test_a_report_draws_weights_that_differ_between_pictures(photos, unseen, tmp_path):
    labels = np.repeat(CLASSES, 4)
    clf = make_backbone_pipeline(BACKBONES, head="zero-shot", router="confidence")
    joblib.dump(clf.fit(unseen, labels), tmp_path / "m")
    run("evaluate", tmp_path / "m", photos / "test", "-o", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "Who is trusted" in page and 'alt="routing weights of the classes"' in page


def test_pictures_are_found_by_words(photos, unseen, tmp_path):
    words, options = ["a bird", "-n", "3"], [*SMALL, "--cache", tmp_path / "cache"]
    told = run("search", photos / "test", *words, *options)
    rows = [line.split(",") for line in told.stdout.splitlines()]
    scores, expected = ImageRetriever(BACKBONES).fit(unseen).search("a bird", 3)
    assert rows[0] == ["path", "score"]
    assert [path for path, _ in rows[1:]] == unseen[expected].tolist()
    np.testing.assert_allclose([float(score) for _, score in rows[1:]], scores, atol=1e-4)
    run("search", unseen[0], photos / "test", "<b>", "-o", tmp_path / "f.html", *options)
    page = (tmp_path / "f.html").read_text("utf-8")
    assert page.count("<figure>") == 10
    assert "<b>" not in page and "<h1>&lt;b&gt;</h1>" in page
    run("search", photos / "test", "a", "-o", tmp_path / "f.csv", "--fusion", "rank", *options)
    assert len(pd.read_csv(tmp_path / "f.csv")) == 10
    told = run("search", photos / "test", "a", "-o", "out.txt", *options, fails=True)
    assert "must end in .csv or .parquet or .html" in told.stderr


def test_pictures_are_found_by_a_picture(photos, unseen, tmp_path):
    told = run("search", photos / "test", unseen[5], "-n", "3", *SMALL)
    distances, rows = ImageRetriever(BACKBONES).fit(unseen).kneighbors(unseen[5:6], 3)
    assert rows[0, 0] == 5  # itself
    found = [line.split(",") for line in told.stdout.splitlines()[1:]]
    assert [path for path, _ in found] == unseen[rows[0]].tolist()
    np.testing.assert_allclose([float(score) for _, score in found], 1 - distances[0], atol=1e-4)
    (tmp_path / "words.txt").write_text("a bird")
    told = run("search", photos / "test", tmp_path / "words.txt", *SMALL, fails=True)
    assert "words.txt' cannot be read as an image" in told.stderr


def test_what_is_no_query_is_said_before_the_work(photos, monkeypatch):
    monkeypatch.setattr(ImageRetriever, "fit", None)
    told = run("search", photos / "test", "person", "moving", *SMALL, fails=True)
    assert "no file or folder 'person'" in told.stderr
    assert 'put them in quotes: "person moving"' in told.stderr
    told = run("search", photos / "test", *SMALL, fails=True).stderr
    assert "Missing argument 'WORDS|PICTURE'." in told
    told = run("search", "a bird", *SMALL, fails=True).stderr
    assert "Missing argument 'DIR|TABLE|FILES'." in told
    lost = str(photos / "query.jpg")
    assert f"There is no file {lost!r}." in run("search", photos, lost, *SMALL, fails=True).stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of resources")
def test_a_full_disk_costs_no_file_that_was_there(model, photos, tmp_path):
    import resource

    table, other, report = (tmp_path / name for name in ("t.csv", "m.joblib", "r.html"))
    shutil.copy(model, other)
    run("evaluate", model, photos / "test", "-o", report)
    run("embed", photos / "test", "-o", table, *SMALL)
    before = [file.read_bytes() for file in (table, other, report)]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        told = [
            run("embed", photos / "train", "-o", table, *SMALL, fails=True),
            run("fit", photos / "train", "-o", other, *SMALL, fails=True),
            run("evaluate", model, photos / "train", "-o", report, fails=True),
        ]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    for output, one in zip((table, other, report), told, strict=True):
        assert f"The output '{output}' cannot be written: File too large." in one.stderr
    assert [file.read_bytes() for file in (table, other, report)] == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.joblib", "r.html", "t.csv"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of memory")
def test_too_little_memory_is_said(photos, tmp_path):
    import resource

    weights = np.zeros(2**24, np.float32)  # 64 MB, which no memory that was freed before can hold
    save_file({"a": weights, "b": weights.copy()}, tmp_path / "weights.safetensors")
    spec = f"ViT-S-32-alt//{tmp_path / 'weights.safetensors'}"
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    command = ["embed", photos / "test", "-o", tmp_path / "t.csv", "--backbones", spec]
    try:
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**24, limits[1]))
        told = run(*command, "--device", "cpu", fails=True)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert "Error: There is too little memory" in told.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_outputs_replace_what_links_lead_to_and_are_written_to_devices(photos, tmp_path):
    link, target = tmp_path / "link.csv", tmp_path / "real.csv"
    target.touch(0o600)
    link.symlink_to(target)
    run("embed", photos / "test", "-o", link, *SMALL)
    assert link.is_symlink() and len(pd.read_csv(target)) == 12
    assert target.stat().st_mode & 0o777 == 0o600
    run("fit", photos / "train", "-o", "/dev/null", "--head", "linear", *SMALL)
    assert Path("/dev/null").is_char_device()


def test_outputs_that_are_written_at_a_time_in_one_folder_stay_apart(tmp_path):
    cats, dogs = str(tmp_path / "cats.csv"), str(tmp_path / "dogs.csv")
    with beside(cats) as of_cats, beside(dogs) as of_dogs:
        Path(of_cats).write_text("cats")
        Path(of_dogs).write_text("dogs")
    assert Path(cats).read_text() == "cats"
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["cats.csv", "dogs.csv"]


def test_names_of_folders_may_stay_as_they_are(photos, tmp_path):
    model, report = tmp_path / "raw.joblib", tmp_path / "r.html"
    run("fit", photos / "train", "-o", model, "--raw-names", "--head", "linear", *SMALL)
    assert joblib.load(model).classes_.tolist() == ["bird", "clothing", "geometric_shape"]
    told = run("evaluate", model, photos / "test", "-o", report, fails=True)
    assert "'geometric shape'" in told.stderr and "--raw-names" in told.stderr
    run("evaluate", model, photos / "test", "-o", report, "--raw-names")
    assert "<td>geometric_shape</td>" in report.read_text("utf-8")
    run("fit", photos / "train", "-o", model, "--head", "linear", *SMALL)
    told = run("evaluate", model, photos / "test", "-o", report, "--raw-names", fails=True)
    assert "'geometric_shape'" in told.stderr and "Leave out --raw-names if" in told.stderr
    pictures = load_folder(photos / "test", raw_names=True)
    names = pictures.target_names[pictures.target]
    table = pd.DataFrame({"Path": pictures.filenames, "label": names})
    table.to_csv(tmp_path / "t.csv", index=False)
    told = run("evaluate", model, tmp_path / "t.csv", "-o", report, fails=True)
    assert "Rename that of the paths." in told.stderr
    told = run("fit", tmp_path / "t.csv", "-o", model, *SMALL, fails=True)
    assert "Rename that of the paths, or name it by --images." in told.stderr
    table.rename(columns=str.lower).to_csv(tmp_path / "t.csv", index=False)
    told = run("evaluate", model, tmp_path / "t.csv", "-o", report, fails=True)
    assert "'geometric_shape'" in told.stderr and "--raw-names" not in told.stderr


def test_codes_have_names_in_a_table(photos, tmp_path):
    folder, model = tmp_path / "coded", tmp_path / "coded.joblib"
    names = tmp_path / "class_names.csv"
    for code, name in enumerate(CLASSES):
        shutil.copytree(photos / "train" / name.replace(" ", "_"), folder / f"0000{code}")
    told = run("fit", folder, "-o", model, *SMALL)
    assert "Give --class-names" in told.stderr
    names.write_text("label,name\n" + "".join(f"0000{i},{c}\n" for i, c in enumerate(CLASSES)))
    told = run("fit", folder, "-o", model, "--class-names", names, *SMALL)
    assert "Give --class-names" not in told.stderr
    clf = joblib.load(model)
    assert clf.get_params()["adaptivebackboneensemble__class_names"]["00002"] == CLASSES[2]
    assert clf.classes_.tolist() == ["00000", "00001", "00002"]
    names.write_text("label,name\ngeometric_shape,square\nbird,bird\nclothing,clothes\n")
    run("fit", photos / "train", "-o", model, "--class-names", names, *SMALL)
    written = joblib.load(model).get_params()["adaptivebackboneensemble__class_names"]
    assert written["geometric shape"] == "square"
    for text, message in (
        ("label,name\n00000,bird\n", "has no name for the class '00001'"),
        ("label,name\n00000,bird\n00001,\n00002,cat\n", "has no name for the class '00001'"),
        ("label,name\n00000,bird\n00000,cat\n", "has the label '00000' more than once"),
        ("code,name\n00000,bird\n", "needs a column 'label' and a column 'name'"),
    ):
        names.write_text(text)
        told = run("fit", folder, "-o", model, "--class-names", names, *SMALL, fails=True)
        assert message in told.stderr and f"{str(names)!r}" in told.stderr


def test_messages_name_options(photos, unseen, tmp_path):
    table, command = tmp_path / "t.csv", ["-o", tmp_path / "m.joblib", *SMALL]
    pd.DataFrame({"path": unseen, "label": np.arange(len(unseen)) % 3}).to_csv(table, index=False)
    for head in ([], ["--head", "zero-shot"]):
        told = run("fit", table, *command, *head, fails=bool(head)).stderr
        assert re.search(r"^(Warning|Error): .*\. Give --class-names TABLE\.$", told, re.MULTILINE)
        assert not re.search("class_names|StackingClassifier|head=", told)
    pd.DataFrame({"path": unseen, "label": unseen}).to_csv(table, index=False)
    told = run("fit", table, *command, fails=True).stderr
    assert "t.csv' holds paths or names of images" in told and "train_test_split" not in told
    told = run("compare", photos / "train", "--shots", 50, "--splits", 2, *SMALL).stderr
    assert "With --shots 50, one sample is kept" in told


def test_folders_are_called_as_numbers_of_a_table(photos, tmp_path):
    train = load_folder(photos / "train")
    table = pd.DataFrame({"path": train.filenames, "label": train.target})
    table.to_csv(tmp_path / "t.csv", index=False)
    run("fit", tmp_path / "t.csv", "-o", tmp_path / "m", "--head", "linear", *SMALL)
    for code, name in enumerate(CLASSES[:2]):
        shutil.copytree(photos / "test" / name, tmp_path / "test" / str(code))
    told = run("evaluate", tmp_path / "m", tmp_path / "test", "-o", tmp_path / "r.html")
    test = load_folder(tmp_path / "test", return_X_y=True)
    score = joblib.load(tmp_path / "m").score(test[0], test[1].astype(int))
    assert f"accuracy {score:.1%}" in told.stderr
    shutil.rmtree(tmp_path / "test" / "1")
    told = run("evaluate", tmp_path / "m", tmp_path / "test", "-o", tmp_path / "r.html")
    assert "Warning" not in told.stderr
    page = tmp_path / "r.html"
    told = run("evaluate", tmp_path / "m", photos / "test", "-o", page, fails=True).stderr
    assert "Its labels are numbers: give a table" in told and "--raw-names" not in told


def test_labels_of_a_table_play_no_part_where_none_is_read(model, unseen, tmp_path):
    table = pd.DataFrame({"path": unseen, "label": ["cat", "Cat", *[""] * (len(unseen) - 2)]})
    table.to_csv(tmp_path / "half.csv", index=False)
    told = run("predict", model, tmp_path / "half.csv", "-o", tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv")["path"].tolist() == unseen.tolist()
    assert not told.stderr


def test_a_folder_may_be_called_as_a_table(photos, tmp_path):
    shutil.copytree(photos / "train", tmp_path / "train.csv")
    run("fit", tmp_path / "train.csv", "-o", tmp_path / "m", *SMALL)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["predict", "m.joblib", ""], "'DIR|TABLE|FILES'"),
        (["fit", "", "-o", "m.joblib"], "'DIR|TABLE'"),
        (["fit", "photos", "-o", ""], "'-o' / '--output'"),
        (["fit", "photos", "-o", "m.joblib", "--class-names", ""], "'--class-names'"),
    ],
)
def test_a_variable_that_is_not_set_is_not_the_current_folder(arguments, named):
    assert f"{named} is empty." in run(*arguments, fails=True).stderr


def test_outputs_that_cannot_be_written_are_said_before_the_work(model, unseen, tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "nowhere" / "out.csv")
    told = run("predict", model, unseen[0], "-o", tmp_path / "link.csv", fails=True)
    assert "is a link into" in told.stderr
    long = tmp_path / f"{'n' * 251}.csv"
    run("predict", model, unseen[0], "-o", long)
    assert len(pd.read_csv(long)) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write all files")
def test_write_protected_outputs_stay(model, unseen, tmp_path):
    kept = tmp_path / "kept.csv"
    kept.write_text("kept")
    kept.chmod(0o444)
    assert "cannot be written" in run("predict", model, unseen[0], "-o", kept, fails=True).stderr
    assert kept.read_text() == "kept"
    tmp_path.chmod(0o555)
    told = run("predict", model, unseen[0], "-o", tmp_path / "new.csv", fails=True)
    assert "cannot be written" in told.stderr


def test_tables_may_hold_pictures(photos, unseen, tmp_path):
    cells = [{"bytes": Path(file).read_bytes(), "path": Path(file).name} for file in unseen[:-1]]
    cells.append({"bytes": Path(unseen[-1]).read_bytes(), "path": None})
    table, model, out = (tmp_path / name for name in ("t.parquet", "m", "out.csv"))
    labels = np.repeat(CLASSES, 4)
    pd.DataFrame({"image": cells, "label": labels}).to_parquet(table)
    run("fit", table, "-o", model, "--head", "linear", *SMALL)
    run("predict", model, table, "-o", out)
    names = [*(Path(file).name for file in unseen[:-1]), "picture 11"]
    assert pd.read_csv(out)["path"].tolist() == names
    of_files = joblib.load(model).predict(unseen)
    assert pd.read_csv(out)["label"].tolist() == of_files.tolist()
    run("evaluate", model, table, "-o", tmp_path / "r.html")
    assert "The most confident mistakes" in (tmp_path / "r.html").read_text("utf-8")


def test_an_output_does_not_replace_what_is_read(model, unseen, tmp_path):
    table = tmp_path / "t.csv"
    pd.DataFrame({"path": unseen, "label": ["a", "b"] * 6}).to_csv(table, index=False)
    content = table.read_bytes()
    for arguments in (
        ["fit", table, *SMALL],
        ["predict", model, table],
        ["embed", unseen[0], table, *SMALL],
        ["name", table, "--classes", "cat,dog", *SMALL],
        ["search", table, "a cat", *SMALL],
    ):
        told = run(*arguments, "-o", tmp_path / "." / "t.csv", fails=True)
        assert "t.csv' is read, too: give it another name" in told.stderr
    assert table.read_bytes() == content


def test_predictions_are_no_labels(model, photos, unseen, tmp_path):
    run("predict", model, photos / "test", "-o", tmp_path / "p.csv")
    told = run("evaluate", model, tmp_path / "p.csv", "-o", tmp_path / "r.html")
    assert "p.csv' are predictions of a model" in told.stderr
    assert "If you have checked them all, ignore this." in told.stderr
    told = run("fit", tmp_path / "p.csv", "-o", tmp_path / "m", *SMALL)
    assert "p.csv' are predictions of a model" in told.stderr
    table = pd.read_csv(tmp_path / "p.csv")
    table.loc[0, "label"] = next(name for name in CLASSES if name != table["label"][0])
    table.to_csv(tmp_path / "p.csv", index=False)  # by someone who looked
    told = run("evaluate", model, tmp_path / "p.csv", "-o", tmp_path / "r.html")
    assert "are predictions" not in told.stderr


def test_rejected_is_no_class_by_mistake(photos, unseen, tmp_path):
    paths, labels = load_folder(photos / "train", return_X_y=True)
    table = pd.DataFrame({"path": unseen, "label": np.repeat([*CLASSES[:2], "rejected"], 4)})
    table["probability__bird"], table["probability__clothing"] = 0.6, 0.4
    table.to_csv(tmp_path / "p.csv", index=False)
    rejects = OpenSetClassifier(LogisticRegression(), reject_rate=0.3, cv=4)
    clf = make_backbone_pipeline("zoo/RN20", estimator=rejects).fit(paths[:8], labels[:8])
    joblib.dump(clf, tmp_path / "known")
    to_page = "-o", tmp_path / "r.html"
    told = run("evaluate", tmp_path / "known", tmp_path / "p.csv", *to_page)
    assert "becomes a class" not in told.stderr
    told = run("fit", tmp_path / "p.csv", "-o", tmp_path / "m", *SMALL)
    assert "4 images in " in told.stderr and "are labelled 'rejected'" in told.stderr

    names = np.where(labels == "bird", "rejected", labels)
    joblib.dump(clf.fit(paths, names), tmp_path / "m")
    for command in (["predict"], ["evaluate", *to_page]):
        told = run(command[0], tmp_path / "m", tmp_path / "p.csv", *command[1:], fails=True)
        assert "'rejected' is a class of the model" in told.stderr
        assert "Set reject_label" in told.stderr
    clf[-1].reject_label = "none"
    joblib.dump(clf, tmp_path / "m")
    run("predict", tmp_path / "m", *unseen[:2], "-o", tmp_path / "found.csv")
    assert pd.read_csv(tmp_path / "found.csv")["label"].tolist() == clf.predict(unseen[:2]).tolist()


def test_labels_in_another_order_than_the_pictures_are_doubted_once(model, photos, tmp_path):
    parts = [load_folder(photos / part, return_X_y=True) for part in ("train", "test")]
    paths, labels = map(np.concatenate, zip(*parts, strict=True))
    shuffled = np.random.default_rng(0).permutation(labels)
    pd.DataFrame({"path": paths, "label": shuffled}).to_csv(tmp_path / "t.csv", index=False)
    told = run("evaluate", model, tmp_path / "t.csv", "-o", tmp_path / "r.html")
    assert told.stderr.count("are classified correctly, as by chance") == 1


def test_classes_that_are_written_in_another_way(unseen, tmp_path):
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    for written in ("cat;dog", "cat\ndog", "['cat', 'dog']", "{cat, dog}", '("cat", "dog")'):
        told = run("name", unseen[0], "--classes", written, fails=True)
        assert "commas separate names, and nothing is around them; write 'cat,dog'" in told.stderr
    told = run("name", unseen[0], "--classes", tmp_path / "classes.txt", fails=True)
    assert f'"$(paste -sd, {tmp_path}/classes.txt)"' in told.stderr
    told = run("name", unseen[0], "--classes", '"cat",\n(big) dog (old)', *SMALL)
    assert "probability__(big) dog (old)" in told.stdout


def test_rows_of_several_parts_are_doubted(model, unseen, tmp_path):
    table = pd.DataFrame({"path": unseen[:2], "label": ["cat", "dog"], "split": ["train", "test"]})
    table.to_csv(tmp_path / "t.csv", index=False)
    page = tmp_path / "r.html"
    told = run("evaluate", model, tmp_path / "t.csv", "-o", page, fails=True)
    assert "'train', 'test', and all of them are taken. To take one part, write" in told.stderr


def test_errors_are_sentences(model, photos, unseen, tmp_path):
    def message(*arguments):
        return run(*arguments, fails=True).stderr

    out, named = tmp_path / "out.csv", tmp_path / "out.joblib"
    assert "nowhere'. Check the path" in message("fit", tmp_path / "nowhere", "-o", named)
    told = message("fit", tmp_path / "nowhere.xlsx", "-o", named)
    assert "There is no file or folder" in told and "nowhere.xlsx'. Check the path." in told
    (tmp_path / "t.csv").touch()
    assert "t.csv' is empty: its first line" in message("fit", tmp_path / "t.csv", "-o", named)
    (tmp_path / "t.csv").write_text("path;label")
    told = message("fit", tmp_path / "t.csv", "-o", named)
    assert "pandas.read_csv(FILE, sep=';', decimal=',').to_csv(FILE, index=False)" in told
    told = message("fit", photos / "train", "-o", named, "--head", "linear,lineer")
    assert "no head 'lineer', but auto, zero-shot," in told
    pd.DataFrame({"path": unseen}).to_csv(tmp_path / "t.csv", index=False)
    assert "has no labels" in message("fit", tmp_path / "t.csv", "-o", named)
    assert "is a model: name it so" in message("fit", photos / "train", "-o", out)
    assert "must end in .csv or .parquet" in message("predict", model, tmp_path, "-o", "out.txt")
    told = message("fit", photos / "train", "-o", tmp_path)
    assert "is a folder: name a file in it" in told
    nowhere = tmp_path / "nowhere" / "m"
    assert "there is no folder" in message("fit", photos / "train", "-o", nowhere)
    assert "is no model" in message("predict", unseen[0], unseen[0])
    assert "There is no model 'lost.joblib'." in message("predict", "lost.joblib", unseen[0])
    kept = message("embed", unseen[0], "-o", out, "--cache", tmp_path / "t.csv", *SMALL)
    assert kept.startswith("Error: ") and "t.csv" in kept
    np.savez(tmp_path / "m.npz", [1])
    told = message("predict", tmp_path / "m.npz", unseen[0])
    assert "m.npz' is no file of joblib. If it is one of skops, load it in Python" in told
    joblib.dump({"a": 1}, tmp_path / "other")
    told = message("predict", tmp_path / "other", unseen[0])
    assert "holds an object of type dict, not a BackbonePipeline. Save one that make_b" in told
    assert "zoo has no model" in message("embed", photos, "-o", out, "--backbones", "zoo/RN21")
    assert "names nothing" in message("embed", photos, "-o", out, "--backbones", " , ")
    assert "two classes" in message("name", photos, "--classes", "cat")
    (photos / "other" / "fish").mkdir(parents=True)
    shutil.copy(unseen[0], photos / "other" / "fish")
    assert "does not know 1 of the classes; the first is 'fish'" in message(
        "evaluate", model, photos / "other", "-o", tmp_path / "r.html"
    )
    known = "It knows bird, clothing, geometric shape. With"
    assert known in message("evaluate", model, photos / "other", "-o", tmp_path / "r.html")
    shutil.rmtree(photos / "other")
    of_folder = pd.DataFrame({"path": unseen[:1], "label": "geometric_shape"})
    of_folder.to_csv(tmp_path / "t.csv", index=False)
    assert "'geometric_shape', skclipens fit makes the class 'geometric shape': write" in message(
        "evaluate", model, tmp_path / "t.csv", "-o", tmp_path / "r.html"
    )
    (tmp_path / "list.txt").write_text(unseen[0])
    listed = message("predict", model, tmp_path / "list.txt")
    assert "list.txt' is no image: a list of files goes into a .csv table with" in listed
    for name in ("t.xlsx", "t.TSV", "t.json"):
        (tmp_path / name).write_text(unseen[0])
        assert f"{name}' is no image: a list of" in message("predict", model, tmp_path / name)
    (tmp_path / "empty").mkdir()
    assert "has no images" in message("embed", tmp_path / "empty", "-o", out)
    for command in (["predict", model], ["name", "--classes", "cat,dog"], ["embed", "-o", out]):
        assert "There is no file or folder 'nope'." in message(*command, unseen[0], "nope")
    assert "There is no file or folder 'nope'." in message("search", "nope", "a cat")
    page = ["evaluate", model, photos / "test", "-o"]
    assert "must end in .html" in message(*page, tmp_path / "r.pdf")
    pd.DataFrame({"path": ["https://a.org/1.png"]}).to_csv(tmp_path / "t.csv", index=False)
    told = message("predict", model, tmp_path / "t.csv")
    assert "names URLs, such as 'https://a.org/1.png', not paths. URLs are not fetched" in told
    assert "URLs are not fetched" in message("predict", model, "https://example.org/x.jpg")
    pd.DataFrame({"path": [f"file://{unseen[0]}"]}).to_csv(tmp_path / "t.csv", index=False)
    for source in (tmp_path / "t.csv", f"file://{unseen[0]}"):
        told = message("predict", model, source)
        assert "Write paths without 'file://'." in told
        assert "fetched" not in told


def test_a_url_among_paths_of_a_table_is_called_so(model, unseen, tmp_path):
    files = [*map(str, unseen[:2]), "https://a.org/1.png"]
    pd.DataFrame({"path": files}).to_csv(tmp_path / "t.csv", index=False)
    told = run("predict", model, tmp_path / "t.csv", "-o", tmp_path / "out.csv").stderr
    assert "Row 2: it is a URL, not a path" in told


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ["--backbones", "zoo/RN20", "--backbones", "zoo/DLA"],
            "--backbones is given more than on",
        ),
        (["--classes", "dog"], "--classes is given more than once. Put commas between its values."),
        (["-o", "a.csv", "--output", "b.csv"], "--output is given more than once. Give it once."),
    ],
)
def test_an_option_is_given_once(given, said, unseen):
    assert said in run("name", unseen[0], "--classes", "cat,bird", *given, fails=True).stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--cache", "--quiet"], "--cache needs DIR, but the option --quiet follows it."),
        (["-o", "--device", "cpu"], "--output needs OUT, but the option --device follows it."),
        (["--device", "-n", "3"], "--device needs a value, but the option -n follows it."),
    ],
)
def test_an_option_is_not_the_value_of_another(given, said, unseen):
    assert said in run("search", unseen[0], "a bird", *given, fails=True).stderr


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ('"red, blue thing",mammal', ["red, blue thing", "mammal"]),
        ("'red, blue thing' , \"mammal\"", ["red, blue thing", "mammal"]),
        (""" 5" disk,bird's nest,,big "cat" """, ['5" disk', "bird's nest", 'big "cat"']),
    ],
)
def test_commas_between_quotes_separate_nothing(value, parts):
    assert split_at_commas(None, None, value) == parts


def test_quotes_are_closed(unseen):
    told = run("name", unseen[0], "--classes", 'cat,"red, blue', fails=True)
    assert "a quote is not closed" in told.stderr


def test_help_names_the_commands():
    assert all(f"  {name} " in run("--help").output for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(command):
    text = run(command, "--help").output
    assert text.startswith(f"Usage: cli {command} [OPTIONS] ")
    options = ["--cache", "--device", "--quiet"]
    options += [] if command in ("predict", "evaluate") else ["--backbones"]
    assert all(f"{option} " in text for option in options)
    assert command != "fit" or "--head A,B,..." in text


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_help_says_whom_to_trust(command):
    assert "read only files that you trust" in " ".join(run(command, "-h").output.split())


def test_the_command_runs_by_itself(photos, unseen, tmp_path):
    """As in a user's shell. What goes to a pipe is UTF-8, and can be read again."""
    shell, model, folder = [sys.executable, "-m", "skclipens"], tmp_path / "m", tmp_path / "new"
    fit = ["fit", photos / "train", "-o", model, "--backbones", "zoo/RN20", "--head", "linear"]
    done = subprocess.run([*shell, *fit], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr == f"{model}: 3 classes.\n" and done.stdout == ""
    folder.mkdir()
    for name in ("caffè.png", "猫.png"):
        shutil.copy(unseen[0], folder / name)
    env = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    predict = [*shell, "predict", model, folder]
    done = subprocess.run(predict, capture_output=True, env=env, check=True, cwd=ROOT)
    assert done.stderr == b""
    table = tmp_path / "t.csv"
    table.write_bytes(done.stdout)
    assert [Path(one).name for one in pd.read_csv(table).path] == ["caffè.png", "猫.png"]
    assert run("predict", model, table).stdout == done.stdout.decode().replace(os.linesep, "\n")


def closed(streams, *arguments, **options):
    """Run Python without standard streams, as a service may."""
    if not shutil.which("sh"):
        pytest.skip("there is no shell that closes streams")
    command = ["sh", "-c", f'"$@" {streams}', "sh", sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_without_standard_output_a_file_must_be_named(model, unseen):
    done = closed(">&-", "-m", "skclipens", "predict", model, unseen[0])
    assert done.returncode
    assert done.stderr.endswith("There is no standard output. Name a file by -o.\n")


def test_standard_streams_may_be_closed(model, unseen, tmp_path):
    if closed("2>&-", "-c", "import numpy.f2py").returncode:  # as of numpy 2.0
        pytest.skip("numpy.f2py of this version needs a standard error")
    output = tmp_path / "t.csv"
    closed(">&- 2>&-", "-m", "skclipens", "predict", model, unseen[0], "-o", output, check=True)
    assert pd.read_csv(output).path.tolist() == [unseen[0]]


@pytest.mark.skipif(not shutil.which("skclipens"), reason="the command is not on the path")
def test_the_installed_command():
    done = subprocess.run(["skclipens", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and all(f"  {name} " in done.stdout for name in COMMANDS)


def test_the_entry_point_is_the_command(monkeypatch, capsys):
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    main = EntryPoint("skclipens", scripts["skclipens"], "console_scripts").load()
    assert main is cli.main
    monkeypatch.setattr(sys, "argv", ["skclipens", "--version"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert skclipens.__version__ in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "click", None)
    with pytest.raises(SystemExit, match="pip install click"):
        main()


@pytest.fixture(scope="module")
def stock(photos):
    """Tables of pictures with prices, which depend on the class, and shops."""
    folder, rng = photos.parent, np.random.default_rng(0)
    for part in ("train", "test"):
        pictures = load_folder(photos / part)
        rows = pd.DataFrame({"file": pictures.filenames, "back": pictures.filenames[::-1]})
        rows["label"] = pictures.target_names[pictures.target]
        rows["price"] = 10.0 + pictures.target + rng.normal(0, 0.1, len(rows))
        rows["shop"] = np.resize(["007", "011"], len(rows))
        rows.loc[2, "price"] = np.nan
        rows.to_csv(folder / f"{part}.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def model_of_tables(stock):
    path, columns = stock / "tables.joblib", ["--numbers", "price", "--categories", "shop"]
    run("fit", stock / "train.csv", "-o", path, *columns, "--cache", stock / "cache", *SMALL)
    return path


def rows_of(path):
    table = load_table(path, path_column="file").frame.rename(columns={"path": "file"})
    return table.assign(shop=table["shop"].map("{:03d}".format))


def test_a_table_may_have_other_columns(stock, model_of_tables):
    train, test = rows_of(stock / "train.csv"), rows_of(stock / "test.csv")
    same = make_table_pipeline(
        BACKBONES, "file", numbers="price", categories="shop", device="cpu", random_state=0
    )
    same.fit(train, train["label"])
    model = joblib.load(model_of_tables)
    np.testing.assert_allclose(model.predict_proba(test), same.predict_proba(test), atol=1e-5)
    for embedder in (model[0].transformers[-1][1], model[0].named_transformers_["file"]):
        assert (embedder.cache, embedder.device, embedder.verbose) == (False, "auto", False)
        assert embedder.on_error == "nan"
    told = run("predict", model_of_tables, stock / "test.csv", "--device", "cpu")
    found = pd.read_csv(io.StringIO(told.stdout))
    assert found["path"].tolist() == test["file"].tolist()
    assert found["label"].tolist() == same.predict(test).tolist()
    assert "unknown categories" not in told.stderr
    told = run("evaluate", model_of_tables, stock / "train.csv", "-o", stock / "r.html")
    assert "The model was fitted on 12 of the 12 images" in told.stderr
    assert "zoo/RN20, zoo/ViT-8<" in (stock / "r.html").read_text("utf-8")


def test_other_columns_are_compared(stock):
    splits = ["--splits", 2, "-o", stock / "compared.csv", *SMALL]
    run("compare", stock / "train.csv", "--numbers", "price", *splits)
    train = rows_of(stock / "train.csv")
    model = make_table_pipeline(BACKBONES, "file", numbers="price", device="cpu", random_state=0)
    with no_warning():  # prompts alone read no numbers, which is no mistake
        found = compare_with_baselines(model, train, train["label"], cv=2)
    shown = pd.read_csv(stock / "compared.csv").set_index("way")
    np.testing.assert_allclose(shown["accuracy"], found["accuracy"])


def test_models_of_tables_from_python(stock, unseen):
    table = rows_of(stock / "train.csv").rename(columns={"file": "front"})
    table["shop"] = table["shop"].astype(int)
    model = make_table_pipeline(
        BACKBONES, ["front", "back"], numbers="price", categories="shop", device="cpu"
    )
    joblib.dump(model.fit(table, table["label"]), stock / "pairs.joblib")
    test = rows_of(stock / "test.csv").rename(columns={"file": "front"})
    test["shop"] = test["shop"].astype(int)
    shown = test.assign(front=[os.path.relpath(one, stock) for one in test["front"]])
    shown.to_csv(stock / "new.csv", index=False)
    shown[:2].to_parquet(stock / "new.parquet")
    Path(stock / "bad.png").write_bytes(b"no picture")
    shown[:2].assign(back="bad.png").to_csv(stock / "bad.csv", index=False)
    several = [stock / name for name in ("new.csv", "new.parquet", "bad.csv")]
    told = run("predict", stock / "pairs.joblib", *several, "--device", "cpu")
    assert "2 of 16 images cannot be read and have no label" in told.stderr
    assert f"row 14 ('{stock / 'bad.png'}')" in told.stderr
    assert "unknown categories" not in told.stderr
    found = pd.read_csv(io.StringIO(told.stdout), keep_default_na=False)["label"].tolist()
    labels = model.predict(test).tolist()
    assert found == [*labels, *labels[:2], "", ""]


def weekday(table):
    return table.apply(lambda days: days.dt.weekday)


def test_columns_of_a_csv_file_have_the_types_that_they_had_in_fit(stock):
    """Also where a model has transformers of its own."""
    days = pd.to_datetime("2026-11-01") + pd.to_timedelta(np.arange(12), "D")
    table = rows_of(stock / "train.csv").assign(zip=["0101", "0202"] * 6, day=days, size="36")
    table.loc[0, "size"] = "XS"
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    model = make_table_pipeline(
        "zoo/RN20",
        "file",
        transformers=[
            ("codes", encoder, ["zip", "size"]),
            ("day", FunctionTransformer(weekday), ["day"]),
        ],
        device="cpu",
    )
    expected = model.fit(table, table["label"]).predict_proba(table[1:])
    path = stock / "own.joblib"
    joblib.dump(model, path)
    table[1:].to_csv(stock / "own.csv", index=False)
    table[1:].to_parquet(stock / "own.parquet")
    for source in ("own.csv", "own.parquet"):
        told = run("predict", path, stock / source, "--device", "cpu")
        found = pd.read_csv(io.StringIO(told.stdout)).filter(like="probability__")
        np.testing.assert_allclose(found, expected, atol=1e-5)
    for day in ("Monday", "30.11.2026", 1793491200):
        table[1:].assign(day=day).to_csv(stock / "own.csv", index=False)
        told = run("predict", path, stock / "own.csv", fails=True).stderr
        assert "Column 'day' of" in told and "held dates in fit" in told
    table[1:].assign(day=1793491200).to_parquet(stock / "own.parquet")
    assert "is a number" in run("predict", path, stock / "own.parquet", fails=True).stderr


def test_dates_and_text_of_other_kinds(stock):
    """Across a change of summer time; columns may be chosen by a function."""
    hours = pd.date_range("2026-10-20", periods=12, freq="D", tz="Europe/Berlin")
    table = rows_of(stock / "train.csv").assign(hour=hours, text=" red\ncar", day=hours.date)
    table["zip"], table["note"] = ["0101", "0202"] * 6, ["new", "", ""] * 4
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    model = make_table_pipeline(
        "zoo/RN20",
        "file",
        transformers=[
            ("own", FunctionTransformer(hours_and_lengths), ["hour", "text", "day"]),
            ("codes", encoder, make_column_selector("zip|note")),
        ],
        device="cpu",
    )
    expected = model.fit(table, table["label"]).predict_proba(table)
    joblib.dump(model, stock / "zone.joblib")
    table.to_csv(stock / "zone.csv", index=False)
    table.assign(hour=hours.tz_localize(None)).to_csv(stock / "local.csv", index=False)
    table.assign(hour=hours.tz_convert("UTC")).to_parquet(stock / "utc.parquet")
    table.set_index("text").to_parquet(stock / "index.parquet")
    for name in ("zone.csv", "local.csv", "utc.parquet", "index.parquet"):
        told = run("predict", stock / "zone.joblib", stock / name, "--device", "cpu")
        found = pd.read_csv(io.StringIO(told.stdout)).filter(like="probability__")
        np.testing.assert_allclose(found, expected, atol=1e-5)


def of_length_zero(table):
    return pd.DataFrame(np.zeros((len(table), 1)), index=table.index, columns=["x"])


def model_of(table, columns):
    model = make_table_pipeline(
        "zoo/RN20",
        "file",
        transformers=[("own", FunctionTransformer(of_length_zero), columns)],
        estimator=LogisticRegression(),
    )
    return model.fit(table, table["label"])


def columns_of_many_types():
    """Twelve rows, of which the last lacks most values."""
    days, words = pd.to_datetime("2026-10-20") + pd.to_timedelta(np.arange(12), "D"), ["b", "a"] * 5
    gap, names = pd.Series([*days[:11], pd.NaT]), [*words, "b"]
    return {
        "code": ["0101", "0202"] * 6,
        "word": [*names, np.nan],
        "none": pd.Series([*names, None], dtype=object),
        "empty": [*names, ""],
        "sign": pd.Series(["NA", *names[1:], None], dtype=object),
        "flag": pd.Series([True, False] * 5 + [True, None], dtype=object),
        "flag_or_nan": pd.Series([True, False] * 5 + [True, np.nan], dtype=object),
        "sure": [True, False] * 6,
        "amount": pd.Series([*map(float, range(11)), None], dtype=object),
        "number": [*range(11), np.nan],
        "date": pd.Series([*days[:11].date, None], dtype=object),
        "date_or_nan": pd.Series([*days[:11].date, np.nan], dtype=object),
        "long_ago": pd.Series([date(1500, 12, 31), date(9999, 12, 31)] * 6, dtype=object),
        "day": gap,
        "never": pd.Series([pd.NaT] * 12, dtype="datetime64[ns]"),
        "moment": pd.Series([*gap[:11].dt.to_pydatetime(), None], dtype=object),
        "second": gap.astype("datetime64[s]"),
        "zone": gap.dt.tz_localize("Europe/Berlin"),
        "span": (gap - days[0]).astype("timedelta64[s]"),
        "path": [Path("a.png"), Path("b.png")] * 6,
        "arrow": pd.Series([*days[:11].date, None], dtype="date32[day][pyarrow]"),
    }


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_cells_of_a_file_are_those_of_fit(stock, ending):
    made = columns_of_many_types()
    table = rows_of(stock / "train.csv").assign(**made, unused=pd.Timestamp("2026-01-01"))
    model = model_of(table, [*made])
    path = stock / f"cells.{ending}"
    for some in (table, table[:1], table[11:], table[::-1]):
        some = some.assign(unused="some day")
        some = some.assign(path=some["path"].astype(str))
        some.to_csv(path, index=False) if ending == "csv" else some.to_parquet(path)
        found = rows_for(model, [str(path)]).X
        for name in made:
            given, cells = [*some[name]], [*found[name]]
            if name == "arrow":
                given, cells = some[name].dropna().tolist(), found[name].dropna().tolist()
            if name == "path":
                given = [*map(str, given)]
            assert [*map(str, cells)] == [*map(str, given)], name
            assert all(map(isinstance, cells, map(type, given))), name  # a Timestamp is a datetime
    for name, such in (("second", "today"), ("day", "Monday"), ("span", "long"), ("span", 5)):
        table.assign(**{name: such}).to_csv(stock / "bad.csv", index=False)
        with pytest.raises(ValueError, match=f"Column '{name}' of .* held d.* in fit.*such as"):
            rows_for(model, [str(stock / "bad.csv")])


def test_numbers_and_dates_of_polars_that_are_missing_are_nan():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"price": [1.5, None], "day": [date(2026, 1, 1), None]})
    step = ColumnTransformer([("all", "passthrough", ["price", "day"])]).fit(frame)
    types = types_of_columns(step, frame)
    assert list(types) == ["day"] and np.isnan(types["day"][1])


def test_flags_are_true_or_false(stock):
    table = rows_of(stock / "train.csv").assign(sure=pd.Series([True, None] * 6, dtype=object))
    model = model_of(table, ["sure"])
    for words, said in (
        (["true", "NA"], None),
        ([1, None], None),
        (["T", "F"], "held flags in fit, and has other"),
    ):
        table.assign(sure=words * 6).to_csv(stock / "flags.csv", index=False)
        with pytest.raises(ValueError, match=said) if said else nullcontext():
            found = rows_for(model, [str(stock / "flags.csv")]).X["sure"]
            assert found.tolist() == [True, None] * 6


def test_a_column_of_pictures_may_hold_all_kinds(stock):
    table = rows_of(stock / "train.csv")
    kinds = [Image.open(table["file"][0]), {"path": table["file"][1], "bytes": None}]
    table["file"] = [*kinds, *table["file"][2:]]
    assert list(model_of(table, ["price"])._types_of_columns) == []


def test_what_a_csv_file_cannot_hold_is_refused(stock):
    table = rows_of(stock / "train.csv").assign(at=[time(hour) for hour in range(12)])
    model = model_of(table, ["at"])
    table.to_csv(stock / "times.csv", index=False)
    with pytest.raises(ValueError, match=r"Column 'at' of .* class time in fit, which a CSV file"):
        rows_for(model, [str(stock / "times.csv")])
    table.to_parquet(stock / "times.parquet")
    assert rows_for(model, [str(stock / "times.parquet")]).X["at"].tolist() == table["at"].tolist()
    parts = BackbonePipeline(model.steps)
    with pytest.raises(ValueError, match="not known what the columns of a table held in fit"):
        rows_for(parts, [str(stock / "times.csv")])
    assert len(rows_for(parts, [str(stock / "times.parquet")]).X) == 12
    assert model[:]._types_of_columns == model._types_of_columns


def hours_and_lengths(table):
    hours, weekdays = table["hour"].dt.hour, [day.weekday() for day in table["day"]]
    return pd.DataFrame({"x": hours + table["text"].str.len() * np.array(weekdays) + table.index})


def test_what_the_command_cannot_write_is_refused(photos, tmp_path):
    paths, labels = load_folder(photos / "train", return_X_y=True)
    several = make_backbone_pipeline(
        "zoo/RN20", estimator=MultiOutputClassifier(LogisticRegression()), device="cpu"
    )
    joblib.dump(several.fit(paths, np.c_[labels, labels]), tmp_path / "several")
    joblib.dump(make_backbone_pipeline("zoo/RN20"), tmp_path / "unfitted")
    for command, options in (("predict", []), ("evaluate", ["-o", tmp_path / "r.html"])):
        told = run(command, tmp_path / "several", photos / "train", *options, fails=True).stderr
        assert "predicts several labels for each row, and a row gets one here: use" in told
        told = run(command, tmp_path / "unfitted", photos / "train", *options, fails=True).stderr
        assert "it has no classes_. Give a fitted classifier" in told


def test_rows_that_lack_a_picture_are_classified_by_submodels(stock):
    gaps = rows_of(stock / "train.csv").rename(columns={"file": "front"})
    gaps.loc[1, "front"] = gaps.loc[4, "back"] = gaps.loc[5, ["front", "back"]] = None
    gaps.to_csv(stock / "gaps.csv", index=False)
    columns = ["--images", "front,back", "--numbers", "price", "--submodels"]
    told = run("fit", stock / "gaps.csv", "-o", stock / "gaps.joblib", *columns, *SMALL)
    assert "3 of 12 images cannot be read and train submodels alone" in told.stderr
    same = make_table_pipeline(
        BACKBONES,
        ["front", "back"],
        numbers="price",
        device="cpu",
        random_state=0,
        on_error="nan",
        submodels=True,
    )
    with pytest.warns(UserWarning, match="train submodels alone"):
        same.fit(gaps, gaps["label"])
    told = run("predict", stock / "gaps.joblib", stock / "gaps.csv", "--device", "cpu")
    assert "3 of 12 images cannot be read and their rows are predicted from" in told.stderr
    found = pd.read_csv(io.StringIO(told.stdout))
    with pytest.warns(UserWarning, match="predicted from other columns"):
        expected = same.predict_proba(gaps)
    np.testing.assert_allclose(found.filter(like="probability__"), expected, atol=1e-5)
    assert found["label"].tolist() == same.classes_[expected.argmax(axis=1)].tolist()
    assert found["path"].tolist()[1] == gaps["back"][1]
    assert found["path"].isna().tolist() == [row == 5 for row in range(12)]
    gaps[5:6].to_csv(stock / "none.csv", index=False)
    told = run("predict", stock / "gaps.joblib", stock / "none.csv", "--device", "cpu")
    assert pd.read_csv(io.StringIO(told.stdout))["label"].tolist() == found["label"].tolist()[5:6]
    told = run("evaluate", stock / "gaps.joblib", stock / "gaps.csv", "-o", stock / "g.html")
    with pytest.warns(UserWarning, match="predicted from other columns"):
        assert f"accuracy {same.score(gaps, gaps['label']):.1%}" in told.stderr
    assert "<td>12, " in (stock / "g.html").read_text("utf-8")
    run("compare", stock / "gaps.csv", *columns, "--splits", 2, "-o", stock / "c.csv", *SMALL)
    assert pd.read_csv(stock / "c.csv")["accuracy"].between(0, 1).all()


def test_mistakes_with_other_columns(stock, photos, model_of_tables, unseen):
    def message(*arguments, command="fit"):
        output = ["-o", stock / "no.joblib"] if command == "fit" else []
        return run(command, *arguments, *output, fails=True).stderr

    train = stock / "train.csv"
    assert "--numbers cost is no column of" in message(train, "--numbers", "cost")
    assert "--images front is no column of" in message(train, "--images", "front")
    assert "--categories label is the column of the lab" in message(train, "--categories", "label")
    assert "--numbers price is of a table, but" in message(photos / "train", "--numbers", "price")
    assert "must end in .csv or .parquet" in message(unseen[0], "--numbers", "price")
    assert "There is no table" in message(stock / "absent.csv", "--numbers", "price")
    assert "--submodels classifies rows that lack a picture by other" in message(
        train, "--submodels", "--images", "file"
    )
    assert "Column 'file' of" in message(_table(stock, file=""), "--numbers", "price")
    assert "Column 'shop' has 'x' in row 0" in message(
        _table(stock, shop="x"), "--numbers", "shop", *SMALL
    )
    of_texts = ["--numbers", "price", "--head", "residual,kernel", *SMALL]
    told = run("fit", train, "-o", stock / "no.joblib", *of_texts).stderr
    assert "': --head residual,kernel reads embeddings alone." in told
    twice = stock / "twice.csv"
    twice.write_text(train.read_text("utf-8").replace("price", "shop", 1), "utf-8")
    assert "has the column 'shop' twice" in message(twice, "--numbers", "shop")
    lacks = _table(stock, price=None)
    assert "bad.csv' has no column 'price'; it has" in message(
        model_of_tables, lacks, command="predict"
    )
    assert "is no table, but the model classifies rows of tables: give a .csv" in message(
        model_of_tables, unseen[0], command="predict"
    )
    by_position = ColumnTransformer([("photo", MultiBackboneEmbedder(BACKBONES), [0])])
    model = BackbonePipeline([("columns", by_position), ("last", LogisticRegression())])
    joblib.dump(model, stock / "unnamed")
    assert "no column of pictures has a name" in message(
        stock / "unnamed", train, command="predict"
    )
    joblib.dump(make_table_pipeline(BACKBONES, "file"), stock / "unfitted")
    assert "not fitted" in message(stock / "unfitted", train, command="predict")


def _table(folder, **columns):
    """A copy of the table of training rows with other columns, without those that are None."""
    table = pd.read_csv(folder / "train.csv").assign(**columns)
    table.drop(columns=[name for name, one in columns.items() if one is None]).to_csv(
        folder / "bad.csv", index=False
    )
    return folder / "bad.csv"
