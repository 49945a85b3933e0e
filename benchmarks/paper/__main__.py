"""Measure every way to combine backbones, and write a table and a report.

    python -m benchmarks.paper --backbones zoo --datasets local
    python -m benchmarks.paper --backbones paper --datasets all

The first runs anywhere in one or two hours, the second is the paper. Every image is embedded
once. What is finished is kept in the folder ``work`` of the output: the same command goes on
where a run stopped. Draws that other code has measured are measured again; the old ones stay in
``work/results-*`` until they are deleted.
"""

import argparse
import importlib
import shlex
import sys
import time
import traceback
from pathlib import Path

import pandas as pd

from skclipens.exceptions import ImageError

from .._machine import parser_of
from .._options import backbones_of
from . import _differences, _figures, _report, _rivals, _run, _sets, _systems
from ._embedding import Columns, embed_set, shortened
from ._experiments import Draws
from ._figures import PRINT_DPI

_DATASETS = "local, validation, photographs, all, names of sets, or folders with a folder per class"
_HEADS = f"any of the package's names, or {', '.join(_systems.NAMED)}"
EXPERIMENTS = ("main", "ablation", "shift", "robustness", "cascade", "transfer", "retrieval")


def parse(arguments):
    parser = parser_of("paper", __doc__)
    add = parser.add_argument
    add("--datasets", nargs="+", default=["local"], help=_DATASETS)
    add("--backbones", nargs="+", default=["zoo"], help="zoo, paper, names or folders")
    add("--views", default="none", choices=["none", "mirror", "crops", "both"])
    add("--features", default="both", choices=["projected", "both"])
    add("--keep-plain", action="store_true", help="the image alone beside its views")
    add("--heads", nargs="+", default=list(_systems.HEADS), help=_HEADS)
    add("--rules", nargs="+", default=list(_systems.RULES), choices=list(_systems.RULES))
    add("--rivals", nargs="*", default=list(_rivals.RIVALS), choices=list(_rivals.RIVALS))
    add("--shots", nargs="+", default=["1", "2", "4", "8", "16", "all"], type=_shots)
    add("--draws", type=int, default=10)
    add("--diagnosis-draws", type=int, default=3, help="draws with achievable accuracy")
    add("--diagnosis-heads", nargs="*", default=["zero-shot", "auto"], help="heads with it")
    add("--trained-draws", type=int, default=3, help="draws with rules that are trained")
    add("--classes", type=int, help="classes that are drawn for each draw; default: all")
    add("--variants", nargs="+", help="of the ablation, by how names begin; default: all")
    add("--seed", type=int, default=0)
    add("--jobs", type=int, default=1, help="processes; each has one thread")
    add("--experiments", nargs="+", default=["main"], choices=EXPERIMENTS)
    add("--output", type=Path, default=Path("docs/results/paper"))
    add("--work", type=Path, help="embeddings and finished draws; default: OUTPUT/work")
    add("--data-home", type=Path, help="folder of the sets of the paper, as in fetch_benchmark")
    add("--per-class", type=int, default=_sets.PER_CLASS, help="at most, in a training pool")
    add("--n-test", type=int, default=_sets.N_TEST, help="at most, where a set has a test part")
    add("--no-download", action="store_true", help="skip sets that are not on the disk")
    add("--quiet", action="store_true", help="no progress bars")
    options = parser.parse_args(arguments)
    others = set(options.experiments) - {"main", "ablation", "shift"}
    if options.views != "none" and others:
        parser.error(f"No views in {', '.join(sorted(others))}.")
    if options.classes is not None and others:
        parser.error(f"No --classes in {', '.join(sorted(others))}.")
    return options


def columns_of(options):
    """Return the options of how images are embedded."""
    views = None if options.views == "none" else options.views
    return Columns(views, options.features, options.keep_plain and views is not None)


def _shots(text):
    if text != _run.ALL and (not text.isdigit() or int(text) < 1):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of images, nor 'all'")
    return text


def main(arguments=None):
    """Run the program."""
    start = time.perf_counter()
    options = parse(arguments)
    arguments = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "-m", "benchmarks.paper", *arguments])
    work = options.work or options.output / "work"
    options.output.mkdir(parents=True, exist_ok=True)
    backbones = tuple(backbones_of(options))
    found, missing = load_sets(options)
    if not found:
        raise SystemExit("None of the sets is available.")
    for name in sorted(options.experiments, key="main".__eq__):  # it links to the others
        if name == "main":
            measure_main(options, found, missing, backbones, work, command)
        else:
            further(name, options, found, backbones, work, command)
    print(f"Wall time: {(time.perf_counter() - start) / 60:.1f} minutes")


def load_sets(options):
    """Return the available sets, and why the others are not available."""
    found, missing = [], {}
    how = {"data_home": options.data_home, "per_class": options.per_class, "n_test": options.n_test}
    for name in _sets.expand(options.datasets):
        try:
            found.append(_sets.load(name, not options.no_download, **how))
        except _sets.MissingSetError as error:
            missing[name] = str(error)
            print(f"{name} is skipped: {error}", file=sys.stderr)
    return found, missing


def measure_main(options, found, missing, backbones, work, command):
    settings = _run.Settings(
        backbones,
        tuple(options.heads),
        tuple(options.rules),
        tuple(options.rivals),
        options.diagnosis_draws,
        tuple(options.diagnosis_heads),
        options.trained_draws,
        options.seed,
        columns_of(options),
        options.classes,
    )
    verbose = not options.quiet
    folders = []
    for one in found:
        try:
            embedded = embed_set(one, backbones, work / "embeddings", verbose, settings.columns)
            folders.append(embedded)
        except ImageError as error:
            missing[one.name] = str(error)
            print(f"{one.name} is skipped: {error}", file=sys.stderr)
    results, correct = _run.run_main(
        folders, options.shots, options.draws, settings, work, jobs=options.jobs, verbose=verbose
    )
    compared = _differences.differences(results, correct)
    results["rule"] = shortened(results["rule"], backbones)
    compared["system"] = shortened(compared["system"], backbones)
    figures = _figures.draw(results, folders, settings, options.output)
    others = [one for one in EXPERIMENTS if (options.output / f"{one}.md").exists()]
    written = folders, missing, figures, settings, command, options.output, others
    _report.write(results, compared, *written)
    print(f"{options.output / 'results.md'}")
    print(_report.time_of(results))


def further(name, options, found, backbones, work, command):
    """Run another experiment on each set, and write its table and its report."""
    module = importlib.import_module(f"._{name}", __package__)
    shots = [int(k) for k in options.shots if k != _run.ALL]
    verbose = not options.quiet
    draws = Draws(work, options.draws, options.seed, options.jobs, verbose, options.classes)
    takes_columns = name in ("ablation", "shift")
    settings = {"columns": columns_of(options), "shots": shots} if takes_columns else {}
    if name == "ablation" and options.variants is not None:
        settings["variants"] = module.beginning_with(options.variants)
    frames = []
    for one in found:
        if one.name in _sets.PERTURBED:
            continue
        try:
            frames.append(module.run(one, list(backbones), draws, **settings))
        except Exception:
            print(f"{name} on {one.name} failed:", file=sys.stderr)
            traceback.print_exc()
    if frames:
        frame = pd.concat(frames, ignore_index=True)
        frame.to_csv(options.output / f"{name}.csv", index=False, float_format="%.5g")
        text = module.report(frame)
        if options.classes is not None:
            title, _, rest = text.partition("\n\n")
            text = f"{title}\n\nEach draw has {options.classes} classes, drawn at random.\n\n{rest}"
        if hasattr(module, "draw"):
            figure, caption = module.draw(frame)
            figure.savefig(options.output / f"{name}.png", dpi=PRINT_DPI)
            text += f"\n{caption}\n\n![]({name}.png)\n"
        _report.write_further(name, text, command, options.output)


if __name__ == "__main__":
    main()
