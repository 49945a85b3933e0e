"""The commands."""

import errno
import os
import re
import sys
import warnings
from pathlib import Path

import click
import pandas as pd
from PIL import Image

import skclipens

from ..embedding import MultiBackboneEmbedder
from ..embedding._gaps import gaps_of, warn_of_gaps
from ..exceptions import BackboneNotAvailableError, EmbeddingStoreError
from ..images import load_image
from ..images._protocols import is_url
from ..model_selection import FewShotSplit, compare_with_baselines
from ..pipeline import make_backbone_pipeline
from ..retrieval import ImageRetriever, is_file
from ._answers import answers
from ._files import (
    TABLE_SUFFIXES,
    check_can_write,
    count_fitted,
    find_labelled,
    find_pictures,
    load_model,
    names_of,
    names_of_classes,
    save_model,
    write_table,
)
from ._html import gallery, write_page

_SAID = (ValueError, OSError, ImportError, BackboneNotAvailableError, EmbeddingStoreError)
_QUOTED = re.compile(r"^(['\"])(.*)\1$")
_OF_PYTHON = re.compile(r"\[.*\]|\{.*\}|\(\s*['\"].*\)", re.DOTALL)  # a list, as it writes one
_TRUST = "Reading MODEL runs code that is in it: read only files that you trust."


class _Commands(click.Group):
    """Commands whose warnings and errors are sentences, not tracebacks."""

    def invoke(self, ctx):
        shown, warnings.showwarning = warnings.showwarning, _say
        try:
            return super().invoke(ctx)
        except _SAID as error:
            if getattr(error, "errno", None) == errno.EPIPE:  # as of `skclipens name | head`
                raise
            raise click.ClickException(str(error)) from error
        finally:
            warnings.showwarning = shown


def _say(message, category, *place):
    click.echo(f"Warning: {message}", err=True)


def _split(ctx, param, value):
    if value is None:
        return None
    parts = [_QUOTED.sub(r"\2", part.strip()) for part in value.split(",") if part.strip()]
    if not parts:
        raise click.BadParameter(f"names nothing: {value!r}.")
    return parts


def _split_names(ctx, param, value):
    """Names between commas. What is written otherwise would become other names."""
    if os.path.isfile(value):
        raise click.BadParameter(
            f"{value!r} is a file: write the names that are in it, with commas between them. A "
            f'shell does so where there is one in each line: "$(paste -sd, {value})".'
        )
    text = value.strip()
    parts = [part.strip() for part in text.split(",")]
    if _OF_PYTHON.fullmatch(text) or any(sign in part for part in parts for sign in ";\n"):
        names = [name.strip() for name in re.split(r"[,;\n]", text.strip("[]{}() "))]
        meant = ",".join(_QUOTED.sub(r"\2", name) for name in names if name)
        raise click.BadParameter(
            f"commas separate names, and nothing is around them; write {meant!r}."
        )
    return _split(ctx, param, value)


def _in_a_folder(ctx, param, value):
    """Find out before the work, not after it, that its result cannot be written."""
    if value and not Path(value).absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {str(Path(value).parent)!r}.")
    return value


def _limit_pixels(ctx, param, value):
    Image.MAX_IMAGE_PIXELS = value


def _options(*options):
    """A decorator that adds several options, in their order."""

    def add(command):
        for option in reversed(options):
            command = option(command)
        return command

    return add


_BACKBONES = click.option(
    "--backbones",
    callback=_split,
    default="zoo",
    show_default=True,
    metavar="A,B,...",
    help="Models, such as ViT-B-32,RN50. zoo: those that come with the package.",
)
_HOW = _options(
    click.option("--cache", metavar="DIR", help="Keep embeddings there, and use those kept."),
    click.option("--device", help="cpu, cuda, cuda:1, mps. Otherwise the best there is."),
    click.option("--quiet", is_flag=True, help="Show no progress."),
    click.option(
        "--max-pixels",
        type=click.IntRange(1),
        default=Image.MAX_IMAGE_PIXELS,
        show_default=True,
        callback=_limit_pixels,
        expose_value=False,
        help="Refuse images with more, which take much memory.",
    ),
)
_COLUMNS = _options(
    _BACKBONES,
    click.option(
        "--views",
        type=click.Choice(["mirror", "crops", "both"]),
        help="Embed several views of each image.",
    ),
    click.option(
        "--features",
        type=click.Choice(["projected", "pooled", "both"]),
        help="What to take from the image towers. fit takes both, unless it is given heads.",
    ),
)


def _output(text, **options):
    """An option for the file to write, which says before the work that there is no place for it."""
    return click.option("-o", "--output", callback=_in_a_folder, help=text, **options)


_OUTPUT = _output("A .csv or .parquet file. Otherwise CSV goes to the screen.", metavar="OUT")
_PICTURES = click.argument("pictures", nargs=-1, required=True, metavar="DIR|TABLE|FILES")
_LABELLED = click.argument("pictures", metavar="DIR|TABLE")
_CLASS_NAMES = click.option(
    "--class-names",
    metavar="TABLE",
    help='What classes are in words, where labels are codes: a table with the columns "label" and '
    '"name".',
)
_RAW_NAMES = click.option(
    "--raw-names",
    is_flag=True,
    help='Call classes as their folders. Otherwise "laptop_computer" is "laptop computer".',
)


def _given(quiet, **options):
    """Options that were given, as parameters of the library."""
    given = {name: value for name, value in options.items() if value is not None}
    return {**given, "verbose": not quiet and sys.stderr.isatty(), "on_error": "nan"}


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(skclipens.__version__)
def cli():
    """Classify images by several CLIP backbones.

    DIR has one folder per class where labels are needed, or else any images. TABLE is a .csv or
    .parquet file with a column "path" and, where labels are needed, "label"; relative paths begin
    at its folder.
    """


@cli.command()
@_LABELLED
@_output("The file to write.", metavar="MODEL", required=True)
@click.option(
    "--head",
    callback=_split,
    default="auto",
    show_default=True,
    metavar="A,B,...",
    help="Heads, such as zero-shot,linear.",
)
@_CLASS_NAMES
@_RAW_NAMES
@_COLUMNS
@_HOW
def fit(pictures, output, head, class_names, raw_names, backbones, **options):
    """Fit a classifier to labelled images.

    MODEL is a BackbonePipeline that joblib has written.
    """
    check_can_write(output, filter(None, [pictures, class_names]), suffixes=None)
    files, labels = find_labelled(pictures, raw_names)
    options["class_names"] = names_of_classes(class_names, labels)
    model = make_backbone_pipeline(backbones, head=head, random_state=0, **_given(**options))
    save_model(model.fit(files, labels), output, files)
    click.echo(f"{output}: {len(model.classes_)} classes.", err=True)


@cli.command()
@_LABELLED
@click.option(
    "--shots",
    type=click.IntRange(1),
    help="Train on so many images of each class, in each of several draws. Otherwise: in "
    "cross-validation.",
)
@click.option(
    "--splits", type=click.IntRange(2), default=5, show_default=True, help="Draws, or folds."
)
@_CLASS_NAMES
@_RAW_NAMES
@_output("A .csv or .parquet file. Otherwise a table in percent is shown.", metavar="OUT")
@_COLUMNS
@_HOW
def compare(pictures, shots, splits, class_names, raw_names, output, backbones, **options):
    """Show what the classifier gains over a logistic regression, or over one backbone.

    On labelled images, each way to classify them is fitted and tested on the same splits: the
    classifier, a logistic regression of all columns, each backbone alone, and prompts alone. Shown
    are the accuracy, its standard deviation over splits, and the gain of the classifier with its
    95 % interval.
    """
    check_can_write(output, [pictures])
    files, labels = find_labelled(pictures, raw_names)
    options["class_names"] = names_of_classes(class_names, labels)
    given = _given(**options)
    model = make_backbone_pipeline(backbones, random_state=0, **given)
    cv = splits if shots is None else FewShotSplit(shots, splits, random_state=0)
    found = compare_with_baselines(model, files, labels, cv=cv, verbose=given["verbose"])
    if output is None:
        click.echo(found.map("{:.1%}".format, na_action="ignore").fillna("").to_string())
    else:
        write_table(found.rename_axis("way").reset_index(), output)


@cli.command(epilog=_TRUST)
@click.argument("model", metavar="MODEL")
@_PICTURES
@_OUTPUT
@_HOW
def predict(model, pictures, output, **options):
    """Classify images: path, label, and the probability of each class if the model has these."""
    check_can_write(output, [model, *pictures])
    files = find_pictures(pictures)
    model = load_model(model, **_given(**options))
    write_table(answers(model, files), output)


@cli.command()
@_PICTURES
@click.option(
    "--classes",
    required=True,
    callback=_split_names,
    metavar="A,B,...",
    help="Names of the classes.",
)
@_OUTPUT
@_COLUMNS
@_HOW
def name(pictures, classes, output, backbones, **options):
    """Classify images by names of classes, without labels."""
    check_can_write(output, pictures)
    files = find_pictures(pictures)
    model = make_backbone_pipeline(
        backbones,
        head="zero-shot",
        router="uniform",
        calibrate=False,
        class_names=classes,
        **_given(**options),
    )
    # Nothing is learned from images: any will do, and each of the files is embedded once.
    model.fit([Image.new("RGB", (64, 64))])
    write_table(answers(model, files), output)


@cli.command()
@_PICTURES
@_output("A .parquet or .csv file.", metavar="OUT", required=True)
@_COLUMNS
@_HOW
def embed(pictures, output, backbones, **options):
    """Embed images: path, and the columns of each backbone."""
    check_can_write(output, pictures)
    files = find_pictures(pictures)
    embedder = MultiBackboneEmbedder(backbones, **_given(**options)).set_output(transform="pandas")
    table = embedder.fit_transform(files)
    warn_of_gaps(gaps_of(table), "have empty rows", files, all_may_be=True)
    table.insert(0, "path", names_of(files))
    write_table(table, output)


@cli.command()
@_PICTURES
@click.argument("words", metavar="WORDS|PICTURE")
@click.option("-n", "--number", type=click.IntRange(1), default=10, show_default=True)
@_output(
    "A .csv or .parquet file, or .html for a page of the images. Otherwise CSV goes to the screen.",
    metavar="OUT",
)
@click.option(
    "--fusion",
    type=click.Choice(["cosine", "rank"]),
    default="cosine",
    show_default=True,
    help="What is fused of the backbones.",
)
@_BACKBONES
@_HOW
def search(pictures, words, number, output, fusion, backbones, **options):
    """Find images by words, or those that are like a picture: path and score, the best first."""
    _check_quotes(pictures, words)
    if is_file(words):
        load_image(words)  # what is no picture is said before the work
    check_can_write(output, pictures, (*TABLE_SUFFIXES, ".html"))
    files = find_pictures(pictures)
    embedder = MultiBackboneEmbedder(backbones, **_given(**options))
    retriever = ImageRetriever(embedder, fusion=fusion).fit(files)
    scores, rows = _found(retriever, words, number)
    found, names = files[rows], names_of(files)
    if output is not None and output.lower().endswith(".html"):
        captions = [
            [f"{score:.3f}", Path(names[row]).name, names[row]]
            for score, row in zip(scores, rows, strict=True)
        ]
        write_page(output, words, [gallery(found, captions)])
    else:
        write_table(pd.DataFrame({"path": [names[row] for row in rows], "score": scores}), output)


def _check_quotes(pictures, words):
    """Of words without quotes, click takes all but the last for pictures."""
    missing = [one for one in pictures[1:] if not Path(one).exists()]
    if missing and not is_url(missing[0]):
        raise FileNotFoundError(
            f"There is no file or folder {missing[0]!r}. Check the path; or, if it is one of "
            f'several words, put them in quotes: "{" ".join([*missing, words])}".'
        )


def _found(retriever, query, number):
    """Scores and rows of what words find, or the picture that they are the path of."""
    if not is_file(query):
        return retriever.search(query, number)
    (distances,), (rows,) = retriever.kneighbors([query], number)
    return 1 - distances, rows


@cli.command(epilog=_TRUST)
@click.argument("model", metavar="MODEL")
@_LABELLED
@_output("The .html file to write.", metavar="REPORT", required=True)
@_RAW_NAMES
@_HOW
def evaluate(model, pictures, output, raw_names, **options):
    """Report how well labelled images are classified.

    REPORT is one HTML file: accuracy, classes, confusion, reliability, trust and mistakes.
    """
    from ._report import write_report

    check_can_write(output, [model, pictures], (".html",))
    files, labels = find_labelled(pictures, raw_names)
    model = load_model(model, **_given(**options))
    if n_fitted := count_fitted(model, files):
        warnings.warn(
            f"The model was fitted on {n_fitted} of the {len(files)} images, so the report is "
            "better than it will be on others. Take images that it was not fitted on.",
            stacklevel=1,
        )
    accuracy = write_report(model, files, labels, output, title=str(pictures))
    click.echo(f"{output}: accuracy {accuracy:.1%}.", err=True)
