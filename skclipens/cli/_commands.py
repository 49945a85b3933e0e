"""The commands of ``skclipens``."""

import errno
import warnings
from collections import Counter
from pathlib import Path

import click
import pandas as pd

import skclipens

from ..datasets._tables import TABLE_SUFFIXES
from ..embedding import MultiBackboneEmbedder
from ..embedding._unreadable import unreadable_rows, warn_of_unreadable
from ..exceptions import BackboneNotAvailableError, EmbeddingStoreError
from ..images import load_image
from ..images._protocols import is_url
from ..images._texts import is_file
from ..model_selection import FewShotSplit, compare_with_baselines
from ..model_selection._compare_checks import SCORINGS
from ..pipeline import make_backbone_pipeline, make_table_pipeline
from ..retrieval import ImageRetriever
from ._files import find_labelled, find_pictures, names_of, read_class_names
from ._html import gallery, write_page
from ._models import load_model, save_model
from ._options import (
    BACKBONES,
    COLUMNS,
    HOW,
    HOW_OF_MODEL,
    IN_TABLES,
    LABELLED,
    OF_CLASSES,
    OUTPUT,
    PICTURES,
    RAW_NAMES,
    as_options,
    features_option,
    given_options,
    is_option,
    is_shown,
    output_option,
    split_heads,
    split_names,
)
from ._outputs import check_can_write, write_table
from ._predictions import answers
from ._rows import Rows, labelled_rows_for, rows_for, rows_to_learn

_SAID = (
    ValueError,
    OSError,
    ImportError,
    MemoryError,
    BackboneNotAvailableError,
    EmbeddingStoreError,
)
_NO_MEMORY = "There is too little memory."  # Python's own error says nothing
_TRUST = "Reading MODEL runs code that is in it: read only files that you trust."


class _Command(click.Command):
    """A command that refuses an option given twice, of which click would use the last.

    It also refuses an option in place of the value of another, and empty values, of which Path
    makes the current folder.
    """

    def parse_args(self, ctx, args):
        values, _, order = self.make_parser(ctx).parse_args([*args])
        for option in dict.fromkeys(order):
            value = values.get(option.name)
            if isinstance(option, click.Option) and is_option(value):
                needs = f"{option.opts[-1]} needs {option.metavar or 'a value'}"
                raise click.UsageError(f"{needs}, but the option {value} follows it.", ctx)
            if isinstance(option, click.Option) and not option.is_flag and order.count(option) > 1:
                several = "," in (option.metavar or "")
                how = "Put commas between its values." if several else "Give it once."
                raise click.UsageError(f"{option.opts[-1]} is given more than once. {how}", ctx)
        rest = super().parse_args(ctx, args)
        for param in self.params:
            given = ctx.params.get(param.name)
            if given == "" or (isinstance(given, tuple) and "" in given):
                how = "A variable of the shell may not be set."
                raise click.UsageError(f"{param.get_error_hint(ctx)} is empty. {how}", ctx)
        return rest


class _Commands(click.Group):
    """A group of commands that prints warnings and errors as sentences, not as tracebacks."""

    command_class = _Command

    def invoke(self, ctx):
        def say(message, *kind_and_place):
            click.echo(f"Warning: {as_options(str(message), ctx.invoked_subcommand)}", err=True)

        shown, warnings.showwarning = warnings.showwarning, say
        try:
            return super().invoke(ctx)
        except _SAID as error:
            if getattr(error, "errno", None) == errno.EPIPE:  # such as with `skclipens name | head`
                raise
            said = as_options(str(error), ctx.invoked_subcommand)
            raise click.ClickException(said or _NO_MEMORY) from error
        finally:
            warnings.showwarning = shown


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(skclipens.__version__)
def cli():
    """Classify images by several CLIP backbones.

    DIR has one folder per class where labels are needed, or else any images. TABLE is a .csv or
    .parquet file with a column "path" and, where labels are needed, "label"; relative paths begin
    at its folder.
    """


@cli.command()
@LABELLED
@output_option("The file to write.", metavar="MODEL", required=True)
@click.option(
    "--head",
    callback=split_heads,
    default="auto",
    show_default=True,
    metavar="A,B,...",
    help="Heads, such as zero-shot,linear.",
)
@OF_CLASSES
@IN_TABLES
@COLUMNS
@features_option("both with --head auto, otherwise projected")
@HOW
def fit(pictures, output, class_names, **options):
    """Fit a classifier to labelled images, or to rows of TABLE with images and other columns.

    MODEL is a BackbonePipeline that joblib has written.
    """
    check_can_write(output, filter(None, [pictures, class_names]), suffixes=None)
    model, rows, labels, groups = _to_learn(pictures, class_names, **options)
    save_model(model.fit(rows.X, labels, groups=groups), output, rows.pictures)
    click.echo(f"{output}: {len(model.classes_)} classes.", err=True)


def _to_learn(
    source,
    class_names,
    *,
    raw_names,
    groups,
    images,
    numbers,
    categories,
    submodels,
    backbones,
    **options,
):
    """Return an unfitted model, and its rows, labels and groups."""
    rows, columns = rows_to_learn(source, images, numbers, categories, submodels)
    of_table = {"path_column": None if images is None else images[0], "may_lack": submodels}
    pictures, labels, groups = find_labelled(source, raw_names, groups, **of_table)
    options = given_options(class_names=read_class_names(class_names, labels), **options)
    if columns is None:
        model = make_backbone_pipeline(backbones, random_state=0, **options)
        return model, Rows(pictures, pictures), labels, groups
    options |= {"submodels": submodels, "random_state": 0}
    return make_table_pipeline(backbones, **columns, **options), rows, labels, groups


@cli.command()
@LABELLED
@click.option(
    "--shots",
    type=click.IntRange(1),
    help="Train on this many images of each class, in several random draws. Default: "
    "cross-validation.",
)
@click.option(
    "--splits",
    type=click.IntRange(2),
    default=5,
    show_default=True,
    help="Number of draws, or of folds. With two draws, intervals can be very wide.",
)
@click.option(
    "--scoring",
    type=click.Choice(SCORINGS),
    default="accuracy",
    show_default=True,
    help="balanced_accuracy: the mean of the accuracies of the classes.",
)
@OF_CLASSES
@output_option("A .csv or .parquet file. Otherwise a table in percent is shown.", metavar="OUT")
@IN_TABLES
@COLUMNS
@features_option("both")
@HOW
def compare(pictures, shots, splits, scoring, class_names, output, **options):
    """Show what the classifier gains over a logistic regression, or over one backbone.

    On labelled images, each way to classify them is fitted and tested on the same splits: the
    classifier, a logistic regression of all columns, each backbone alone, and prompts alone. Shown
    are the accuracy, its standard deviation over splits, and the gain of the classifier with its
    95 % interval.
    """
    check_can_write(output, [pictures])
    model, rows, labels, groups = _to_learn(pictures, class_names, **options)
    if shots is None:
        _refuse_more_folds(splits, labels, groups)
    cv = splits if shots is None else FewShotSplit(shots, splits, random_state=0)
    found = compare_with_baselines(
        model,
        rows.X,
        labels,
        cv=cv,
        groups=groups,
        scoring=scoring,
        verbose=is_shown(options["quiet"]),
    )
    if output is None:
        click.echo(found.map("{:.1%}".format, na_action="ignore").fillna("").to_string())
    else:
        write_table(found.rename_axis("way").reset_index(), output)


def _refuse_more_folds(splits, labels, groups):
    """Raise ValueError, naming the options, if no class has an image, or group, for each fold."""
    units = range(len(labels)) if groups is None else groups
    largest = max(Counter(label for label, _ in {*zip(labels.tolist(), units)}).values())
    if splits > largest:
        kind = "images" if groups is None else "groups"
        raise ValueError(
            f"--splits {splits} needs {splits} {kind} of a class, but none has more than "
            f"{largest}. Give fewer, or --shots, which trains on a few images of each class."
        )


@cli.command(epilog=_TRUST)
@click.argument("model", metavar="MODEL")
@PICTURES
@OUTPUT
@HOW_OF_MODEL
def predict(model, pictures, output, **options):
    """Classify images: a table of path, label, and probabilities if the model gives them.

    A model of images and other columns gets a TABLE with the same columns.
    """
    check_can_write(output, [model, *pictures])
    model = load_model(model, **given_options(**options))
    write_table(answers(model, rows_for(model, pictures)), output)


@cli.command()
@PICTURES
@click.option(
    "--classes",
    required=True,
    callback=split_names,
    metavar="A,B,...",
    help="Names of the classes; one that has a comma goes between quotes.",
)
@OUTPUT
@COLUMNS
@HOW
def name(pictures, classes, output, backbones, **options):
    """Classify images by names of classes, without labels."""
    check_can_write(output, pictures)
    files = find_pictures(pictures)
    model = make_backbone_pipeline(
        backbones,
        head="zero-shot",
        router="uniform",
        calibrate=False,
        **given_options(**options),
    )
    write_table(answers(model.set_classes(classes), Rows(files, files)), output)


@cli.command()
@PICTURES
@output_option("A .parquet or .csv file.", metavar="OUT", required=True)
@COLUMNS
@features_option("projected")
@HOW
def embed(pictures, output, backbones, **options):
    """Embed images: a table of path, and the columns of each backbone."""
    check_can_write(output, pictures)
    files = find_pictures(pictures)
    embedder = MultiBackboneEmbedder(backbones, **given_options(**options))
    table = embedder.set_output(transform="pandas").fit_transform(files)
    warn_of_unreadable(unreadable_rows(table), "have empty rows", files, all_may_be=True)
    table.insert(0, "path", names_of(files))
    write_table(table, output)


@cli.command()
@click.argument("pictures", nargs=-1, metavar="DIR|TABLE|FILES")
@click.argument("words", metavar="WORDS|PICTURE")
@click.option(
    "-n",
    "--n-neighbors",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Number of images to find.",
)
@output_option(
    "A .csv or .parquet file, or .html for a page of the images. Otherwise CSV goes to the screen.",
    metavar="OUT",
)
@click.option(
    "--fusion",
    type=click.Choice(["cosine", "rank"]),
    default="cosine",
    show_default=True,
    help="How to combine backbones: mean cosine, or reciprocal rank.",
)
@BACKBONES
@HOW
def search(pictures, words, n_neighbors, output, fusion, backbones, **options):
    """Find images by words or by a similar picture: a table of path and score, best first."""
    _check_query(pictures, words)
    if is_file(words):
        load_image(words)  # raises before the work if it is not an image
    check_can_write(output, pictures, (*TABLE_SUFFIXES, ".html"))
    files = find_pictures(pictures)
    embedder = MultiBackboneEmbedder(backbones, **given_options(**options))
    retriever = ImageRetriever(embedder, fusion=fusion).fit(files)
    scores, rows = _found(retriever, words, n_neighbors)
    found, names = files[rows], names_of(files)
    if output is not None and output.lower().endswith(".html"):
        captions = [
            [f"{score:.3f}", Path(names[row]).name, names[row]]
            for score, row in zip(scores, rows, strict=True)
        ]
        write_page(output, words, [gallery(found, captions)])
    else:
        write_table(pd.DataFrame({"path": [names[row] for row in rows], "score": scores}), output)


def _check_query(pictures, words):
    """Raise UsageError without pictures or words, FileNotFoundError if pictures may be words.

    click takes a single argument for the words. Without quotes around the query, it takes all its
    words but the last for pictures.
    """
    if not pictures:
        lacks = "WORDS|PICTURE" if Path(words).exists() else "DIR|TABLE|FILES"
        raise click.UsageError(f"Missing argument '{lacks}'.", click.get_current_context())
    missing = [one for one in pictures[1:] if not Path(one).exists()]
    if missing and not is_url(missing[0]):
        raise FileNotFoundError(
            f"There is no file or folder {missing[0]!r}. Check the path; or, if it is one of "
            f'several words, put them in quotes: "{" ".join([*missing, words])}".'
        )


def _found(retriever, query, n_neighbors):
    """Return scores and rows of the images nearest to a text, or to the picture at a path."""
    if not is_file(query):
        return retriever.search(query, n_neighbors)
    (distances,), (rows,) = retriever.kneighbors([query], n_neighbors)
    return 1 - distances, rows


@cli.command(epilog=_TRUST)
@click.argument("model", metavar="MODEL")
@LABELLED
@output_option("The .html file to write.", metavar="REPORT", required=True)
@RAW_NAMES
@HOW_OF_MODEL
def evaluate(model, pictures, output, raw_names, **options):
    """Report how well labelled images are classified.

    REPORT is one HTML file: accuracy, classes, confusion, calibration, weights of the experts, and
    mistakes.
    """
    from ._report import write_report

    check_can_write(output, [model, pictures], (".html",))
    model = load_model(model, **given_options(**options))
    rows, labels = labelled_rows_for(model, pictures, raw_names)
    raw_names = raw_names if Path(pictures).is_dir() else None
    title = str(pictures)
    accuracy = write_report(model, rows, labels, output, title=title, raw_names=raw_names)
    click.echo(f"{output}: accuracy {accuracy:.1%}.", err=True)
