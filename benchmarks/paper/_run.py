"""Run units of work: a part of a draw of a set at a number of shots.

A unit is measured by one process, which writes a file of which images are right and then one of
results, each atomically. So finished units are not measured again after a crash. Parts that take
long have units of their own, so that more draws of them can be measured later.
"""

import hashlib
import json
import re
import shutil
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from joblib import Memory, Parallel, delayed
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.neighbors import NearestCentroid
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from skclipens.metrics import (
    expected_calibration_error,
    oracle_accuracy_score,
    permuted_oracle_accuracy_score,
)
from skclipens.model_selection import FewShotSplit

from .._machine import peak_resident, start_peak
from . import _achievable, _correct, _rivals, _systems
from ._correct import Correctness
from ._embedding import ALL_FEATURES, Columns, blocks_of, gflops_of, read_set, write_whole
from ._experiments import digest_of_sources, of_some_classes

RULES, TRAINED, DIAGNOSIS = "rules", "trained", "diagnosis"  # parts of a draw
ALL = "all"  # as the number of shots: every label of the training pool, or half of the rows


@dataclass(frozen=True)
class Settings:
    """Settings of a run. The number of draws does not change the numbers of a draw."""

    backbones: tuple
    heads: tuple = _systems.HEADS
    rules: tuple = tuple(_systems.RULES)
    rivals: tuple = _rivals.RIVALS
    diagnosis_draws: int = 3  # in which achievable accuracy is measured
    diagnosis_heads: tuple = ("zero-shot", "auto")
    trained_draws: int = 3  # in which rules that are trained are measured, which take the longest
    seed: int = 0
    columns: Columns = ALL_FEATURES
    n_classes: int | None = None  # drawn for each draw; None: all

    def columns_of(self, features):
        """Return the blocks of these features, and positions of their columns."""
        return _systems.columns_of(features, blocks_of(self.backbones, self.columns))

    @property
    def key(self):
        """Return the name of the folder of results, which depends on settings and code."""
        numbers = asdict(replace(self, diagnosis_draws=0, trained_draws=0))
        text = json.dumps([numbers, digest_of_sources()])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def parts_of(self, draw):
        """Return the parts of this draw that are measured."""
        parts = [RULES]
        if draw < self.trained_draws and not set(_systems.TRAINED).isdisjoint(self.rules):
            parts.append(TRAINED)
        if draw < self.diagnosis_draws and self.diagnosis_heads:
            parts.append(DIAGNOSIS)
        return parts


def n_draws_of(about, shots, draws, n_classes=None):
    """Return the number of draws; 1 if all labels train and the set has its own test part."""
    nothing = shots == ALL and about["train"] is not None and n_classes is None
    return 1 if nothing else draws


def split(about, shots, draw, seed, n_classes=None):
    """Return positions of training and test rows of a draw. Draws of fewer shots are nested."""
    of_all, y = _split(about, shots, draw, seed), about["y"]
    if n_classes is None or n_classes >= len(np.unique(y)):
        return of_all
    return of_some_classes(of_all, y, n_classes, np.random.default_rng(seed_of(seed, draw)))


def _split(about, shots, draw, seed):
    y = about["y"]
    pool = np.arange(len(y)) if about["train"] is None else about["train"]
    if shots == ALL and about["train"] is not None:
        return pool, about["test"]
    if shots == ALL:
        halves = StratifiedShuffleSplit(1, test_size=0.5, random_state=seed_of(seed, draw))
        return next(halves.split(y, y))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="With n_shots")
        draws = FewShotSplit(int(shots), draw + 1, random_state=seed).split(pool, y[pool])
        *_, (train, rest) = draws
    return pool[train], pool[rest] if about["test"] is None else about["test"]


def seed_of(seed, draw):
    """Return a seed for estimators, different for each draw."""
    return int(np.random.SeedSequence([seed, draw]).generate_state(1)[0] >> 1)


def run_main(folders, shots, draws, settings, work, *, jobs=1, verbose=True):
    """Measure all unfinished units, and return the results of all.

    Parameters
    ----------
    folders : list of Path
        As ``embed_set`` returns them.
    shots : list of str
        Images of each class, or "all".
    draws : int
    settings : Settings
    work : Path
    jobs : int
        Processes.
    verbose : bool

    Returns
    -------
    results : DataFrame
        One row for each set, number of shots, draw, part, head and system.
    correct : dict of (set, shots) to Correctness
        Which images each system has right.
    """
    results = work / f"results-{settings.key}"
    written = json.dumps(asdict(settings))
    write_whole(results / "settings.json", lambda part: part.write_text(written))
    # Files of a run that was killed.
    shutil.rmtree(results / "scratch", ignore_errors=True)
    for part in results.glob(".*--*"):
        part.unlink()
    units, correct = [], {}
    for folder in folders:
        _, about = read_set(folder)
        for k in shots:
            for draw in range(n_draws_of(about, k, draws, settings.n_classes)):
                for part in settings.parts_of(draw):
                    path = results / f"{folder.name}--{k}--{draw}--{part}.parquet"
                    units.append((folder, k, draw, part, path))
                    of_draws = correct.setdefault((about["name"], k), {})
                    of_draws.setdefault(draw, []).append(path.with_suffix(".npz"))
    todo = [unit for unit in units if not unit[-1].exists()]
    tasks = (delayed(_run_unit)(*unit, settings) for unit in todo)
    running = Parallel(n_jobs=jobs, return_as="generator_unordered")(tasks)
    n_done = len(units) - len(todo)
    with tqdm(total=len(units), initial=n_done, desc="parts of draws", disable=not verbose) as bar:
        for name in running:
            bar.set_postfix_str(name)
            bar.update()
    measured = pd.concat([pd.read_parquet(unit[-1]) for unit in units], ignore_index=True)
    return _in_order(measured), {cell: Correctness(paths) for cell, paths in correct.items()}


def _in_order(measured):
    """Return the rules of a draw in order, whichever part measured them."""
    rank = {rule: position for position, rule in enumerate(_systems.RULES)}
    rules = measured["rule"].map(rank).fillna(len(rank))
    cells = (pd.factorize(measured[name])[0] for name in ("head", "draw", "shots", "set"))
    return measured.iloc[np.lexsort((rules, *cells))].reset_index(drop=True)


def _run_unit(folder, shots, draw, part, path, settings):
    import torch

    torch.set_num_threads(1)
    start = time.perf_counter()
    X, about = read_set(folder)
    train, test = split(about, shots, draw, settings.seed, settings.n_classes)
    data = (
        *(np.asarray(X[rows]) for rows in (train, test)),
        *(about["y"][rows] for rows in (train, test)),
    )
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        rows = list(_measure(data, about, draw, part, settings, path.parent / "scratch"))
    right = {(row["head"], row["rule"]): row.pop("right") for row in rows if "right" in row}
    _correct.write(path.with_suffix(".npz"), test, right)
    frame = pd.DataFrame(rows)
    unit = {"set": about["name"], "shots": str(shots), "draw": draw, "part": part}
    frame = frame.assign(**unit, n_train=len(train), n_test=len(test))
    frame["unit_seconds"] = time.perf_counter() - start
    first = [*unit, "n_train", "n_test"]
    frame = frame[[*first, *frame.columns.drop(first)]]
    write_whole(path, frame.to_parquet)
    return f"{about['name']} {shots} {draw} {part}"


def _measure(data, about, draw, part, settings, scratch):
    """Yield the rows of a part of one draw."""
    scratch.mkdir(exist_ok=True)
    blocks = blocks_of(settings.backbones, settings.columns)
    gflops = gflops_of(settings.backbones, settings.columns)
    options = {
        "class_names": about["class_names"],
        "templates": about["templates"],
        "random_state": seed_of(settings.seed, draw),
    }
    for head in settings.diagnosis_heads if part == DIAGNOSIS else settings.heads:
        features = _systems.FEATURES.get(head, _systems.PROJECTED)
        names, table = _with_columns(data, features, settings)
        if not names:
            continue
        with _systems.one_shot(_systems.FORMER_ONE_SHOT if head == _systems.FORMER else {}):
            rows = _measure_head(head, table, names, part, settings, options, gflops, scratch)
        yield from rows
    for name in settings.rivals if part == RULES else ():
        row = {"head": "none", "rule": name, "kind": "rival", "gflops": gflops["all"]}
        features = _rivals.FEATURES.get(name, _systems.PROJECTED)
        names, table = _with_columns(data, features, settings)
        try:
            prompts = _systems.make(_systems.AVERAGE, "zero-shot", names, **options)
            rival = _rivals.make(name, _columns_by_name(names, blocks), data[2], prompts)
            yield row | _score(rival, table)
        except _rivals.NotAvailableError as error:
            yield row | {"status": f"not available: {error}"}
        except Exception as error:
            yield row | _failure(error)


def _with_columns(data, features, settings):
    """Return names of the blocks of these features, and the data with their columns only."""
    names, columns = settings.columns_of(features)
    X, X_test, *labels = data
    if len(columns) < X.shape[1]:
        X, X_test = X[:, columns], X_test[:, columns]
    return names, (X, X_test, *labels)


def _columns_by_name(names, blocks):
    """Return valid names of steps of a pipeline, with the columns of these blocks in a table."""
    ends = np.cumsum([0, *(blocks[name].stop - blocks[name].start for name in names)])
    return [
        (re.sub(r"\W", "-", name), np.arange(*pair))
        for name, pair in zip(names, pairwise(ends), strict=True)
    ]


def _failure(error):
    text = " ".join(str(error).split())[:200]
    return {"status": f"failed: {type(error).__name__}: {text}"}


def _measure_head(head, data, blocks, part, settings, options, gflops, scratch):
    """Return rows of one head: of rules, which share its fitted experts, or of its diagnosis."""
    if part == DIAGNOSIS:
        rows = _diagnosis(head, data, blocks, options)
        return [{"head": head, "status": "ok"} | row for row in rows]
    rules = _systems.rules_for(head, settings.rules, trained=part == TRAINED)
    rules, rows = dict.fromkeys(rules), []
    if not rules:
        return rows
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        options = options | {"memory": Memory(folder, verbose=0)}
        try:
            seconds = _fit_shared_heads(head, data, blocks, options)
        except Exception as error:
            return [{"head": head, "rule": "heads", "kind": "rule"} | _failure(error)]
        for rule in rules:
            rules[rule] = _systems.make(rule, head, blocks, **options)
            row = {"rule": rule, "kind": "rule", "gflops": gflops["all"]}
            row["head_seconds"] = seconds[rule in _systems.NOT_JUDGED]
            try:
                measured = _score(rules[rule], data)
            except Exception as error:
                measured = _failure(error)
                if rule == _systems.PAPER_SPLIT and isinstance(error, ValueError):
                    measured = {"status": "not available: a tenth has no row of some class"}
            rows.append(row | measured)
    default = rules.get(_systems.DEFAULT)
    if hasattr(default, "experts_") and head not in _systems.BESIDE:
        rows += _references(default, data, gflops)
    shared = {"head": head, "status": "ok", "head_seconds": seconds[False]}
    return [shared | row for row in rows]


def _fit_shared_heads(head, data, blocks, options):
    """Fit the shared heads into the memory; return seconds, by whether heads are not judged."""
    seconds = {}
    for rule in (_systems.AVERAGE, _systems.CALIBRATED_AVERAGE):
        start = time.perf_counter()
        _systems.make(rule, head, blocks, **options).fit(data[0], data[2])
        seconds[rule in _systems.NOT_JUDGED] = time.perf_counter() - start
    return seconds


def _references(default, data, gflops):
    """Return rows of single experts, of the best of them on test, and of oracles."""
    _, X, _, y = data
    labels = default.classes_[default.expert_proba(X).argmax(axis=2)]
    experts = _expert_rows(default, X, labels == y[:, None], gflops)
    single = [row["kind"] == "single" for row in experts]
    labels = labels[:, single]
    right = labels == y[:, None]
    best = max(row["accuracy"] for row in experts if row["kind"] == "single")
    found = {
        "best single": best,
        "oracle": oracle_accuracy_score(y, labels),
        "oracle of permuted rows": permuted_oracle_accuracy_score(y, labels),
        "oracle of independent mistakes": float(1 - np.prod(1 - right.mean(axis=0))),
    }
    references = [{"rule": rule, "accuracy": value} for rule, value in found.items()]
    return [*experts, *(row | {"kind": "reference"} for row in references)]


def _expert_rows(clf, X, right, gflops):
    """Return a row for every expert of the default ensemble."""
    weights = clf.routing_weights(X)
    total = np.abs(weights).sum(axis=1, keepdims=True)
    shares = (weights / np.where(total > 0, total, 1)).mean(axis=0)
    rows = []
    for e, (name, _, block) in enumerate(clf.experts_):
        kind = "single" if block.only_backbone else "expert"
        row = {
            "rule": f"{kind}:{name}",
            "kind": kind,
            "accuracy": float(right[:, e].mean()),
            "routing_share": float(shares[e]),
            "gflops": gflops[block.name],
            "right": right[:, e],
        }
        rows.append(row)
    return rows


def _diagnosis(head, data, blocks, options):
    """Return rows of combinations that are fitted on test labels."""
    X, X_test, y, y_test = data
    seed = options["random_state"]
    try:
        default = _systems.make(_systems.DEFAULT, head, blocks, **options).fit(X, y)
        found = _achievable.cross_fitted(default, X_test, y_test, random_state=seed)
    except Exception as error:
        return [{"rule": "achievable", "kind": "diagnosis"} | _failure(error)]
    return [
        {
            "rule": f"achievable:{name}",
            "kind": "diagnosis",
            "accuracy": right.mean(),
            "right": right,
        }
        for name, right in found.items()
    ]


def _score(clf, data):
    """Fit and predict; return scores, times, and which test rows are right."""
    X, X_test, y, y_test = data
    before = start_peak()
    start = time.perf_counter()
    clf.fit(X, y)
    fitted = time.perf_counter()
    predicted, proba = _predict(clf, X_test)
    done = time.perf_counter()
    peak = peak_resident()
    right = predicted == y_test
    row = {
        "status": "ok",
        "accuracy": float(right.mean()),
        "fit_seconds": fitted - start,
        "predict_seconds": done - fitted,
        "peak_mib": peak,
        "added_mib": max(peak - before, 0.0),
        "right": right,
    }
    if proba is not None:
        row["ece"] = expected_calibration_error(y_test, proba, labels=clf.classes_)
    return row


def _predict(clf, X):
    """Return labels, and probabilities if the classifier predicts by them."""
    if isinstance(clf, NearestCentroid) or not hasattr(clf, "predict_proba"):
        return clf.predict(X), None
    proba = clf.predict_proba(X)
    return clf.classes_[proba.argmax(axis=1)], proba
