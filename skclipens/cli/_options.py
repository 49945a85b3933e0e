"""Options and arguments of the commands."""

import os
import re
import sys
from pathlib import Path

import click
from PIL import Image

from ..ensemble._heads import HEADS

_QUOTED = re.compile(r"^(['\"])(.*)\1$")
_PART = re.compile(r"""\s*(?:"[^"]*"|'[^']*')\s*(?=,|$)|[^,]+""")  # commas may be in quotes
_OPTION = re.compile(r"-[a-zA-Z]|--[a-z].*")
_AS_OPTIONS = (  # what the library says of parameters, and what a command says of its options
    (re.compile(r"Give class_names[:,] a list .*? head=[^.]*\."), "Give --class-names TABLE."),
    (re.compile(r" Some meta-estimators.*?sorted\(set\(y\)\)[^.]*\."), ""),
    # No file such as 'class_names.csv'.
    (re.compile(r"(?<![^\s(])class_names(?=[\s,:;=)]|\.?$|\.\s)"), "--class-names"),
    (re.compile(r"\bn_shots="), "--shots "),
    (re.compile(r"If these rows have no label, write .* there\."), "If so, leave these rows out."),
)
_PATH_COLUMN = ", or name it by path_column of load_table"  # predict and evaluate have no option
_HEAD = re.compile(r"\bhead=(\[[^]]*\]|'[^']*')")  # compare has no option --head
_OF_PYTHON = re.compile(r"\[.*\]|\{.*\}|\(\s*['\"].*\)", re.DOTALL)  # a list as Python writes it


def split_at_commas(ctx, param, value):
    """Return the parts between commas, without quotes around them."""
    if value is None:
        return None
    parts = [part for part in map(_unquoted, _PART.findall(value)) if part]
    if any(part.startswith('"') for part in parts):
        raise click.BadParameter(f"a quote is not closed: {value!r}.")
    if not parts:
        raise click.BadParameter(f"names nothing: {value!r}.")
    return parts


def _unquoted(part):
    return _QUOTED.sub(r"\2", part.strip())


def split_names(ctx, param, value):
    """Return the names between commas; refuse files, Python lists and other separators."""
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
    return split_at_commas(ctx, param, value)


def is_option(value):
    """Return whether what was read as the value of an option is an option itself."""
    return isinstance(value, str) and _OPTION.fullmatch(value) is not None


def split_heads(ctx, param, value):
    """Return the names of heads between commas; refuse unknown ones."""
    heads, known = split_at_commas(ctx, param, value), ["auto", *HEADS]
    if unknown := [head for head in heads if head not in known]:
        raise click.BadParameter(f"there is no head {unknown[0]!r}, but {', '.join(known)}.")
    return heads


def as_options(text, command):
    """Return a message with the options of a command in place of parameters of the library."""
    learns = command in ("fit", "compare")
    text = text.replace(_PATH_COLUMN, ", or name it by --images" if learns else "")
    if learns:
        for parameter, option in _AS_OPTIONS:
            text = parameter.sub(option, text)
    if command == "fit":
        text = _HEAD.sub(lambda found: "--head " + re.sub(r"[\['\] ]", "", found[1]), text)
    return text


def _in_a_folder(ctx, param, value):
    """Refuse, before the work, an output whose folder does not exist."""
    if value and not Path(value).absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {str(Path(value).parent)!r}.")
    return value


def _limit_pixels(ctx, param, value):
    Image.MAX_IMAGE_PIXELS = value


def _options(*options):
    """Return a decorator that adds several options in their order."""

    def add(command):
        for option in reversed(options):
            command = option(command)
        return command

    return add


BACKBONES = click.option(
    "--backbones",
    callback=split_at_commas,
    default="zoo",
    show_default=True,
    metavar="A,B,...",
    help="Models, such as ViT-B-32,RN50. zoo: those that come with the package.",
)


def _how(device):
    """Return options of how images are embedded; `device` describes the default device."""
    return _options(
        click.option(
            "--cache", metavar="DIR", help="Store embeddings there, and reuse those stored."
        ),
        click.option("--device", help=f"cpu, cuda, cuda:1 or mps. Default: {device}."),
        click.option("--quiet", is_flag=True, help="Show no progress."),
        click.option(
            "--max-pixels",
            type=click.IntRange(1),
            default=Image.MAX_IMAGE_PIXELS,
            show_default=True,
            callback=_limit_pixels,
            expose_value=False,
            help="Refuse images with more pixels, which take much memory.",
        ),
    )


HOW = _how("a GPU if there is one")
HOW_OF_MODEL = _how("that of MODEL, or a GPU if there is one")
COLUMNS = _options(
    BACKBONES,
    click.option(
        "--views",
        type=click.Choice(["mirror", "crops", "both"]),
        help="Embed several views of each image: its mirror image, crops of it, or both.",
    ),
)


def features_option(default):
    """Return the option ``--features``; `default` describes its default for a command.

    Names of classes need projected features.
    """
    return click.option(
        "--features",
        type=click.Choice(["projected", "pooled", "both", "all"]),
        help=f"What to take from the image towers. Default: {default}.",
    )


IN_TABLES = _options(
    click.option(
        "--images",
        callback=split_at_commas,
        metavar="A,B,...",
        help="Columns of TABLE with pictures, if there are several or it has another name.",
    ),
    click.option(
        "--numbers",
        callback=split_at_commas,
        metavar="A,B,...",
        help="Columns of TABLE with numbers that help to tell the classes apart.",
    ),
    click.option(
        "--categories",
        callback=split_at_commas,
        metavar="A,B,...",
        help="Columns of TABLE with words that do, such as names of shops.",
    ),
    click.option(
        "--submodels",
        is_flag=True,
        help="Allow rows of TABLE to lack pictures: models of the other columns classify them. "
        "compare leaves them out.",
    ),
)


def output_option(text, **options):
    """Return the option for the output, which refuses a missing folder before the work."""
    return click.option("-o", "--output", callback=_in_a_folder, help=text, **options)


OUTPUT = output_option("A .csv or .parquet file. Otherwise CSV goes to the screen.", metavar="OUT")
PICTURES = click.argument("pictures", nargs=-1, required=True, metavar="DIR|TABLE|FILES")
LABELLED = click.argument("pictures", metavar="DIR|TABLE")
RAW_NAMES = click.option(
    "--raw-names",
    is_flag=True,
    help='Use names of folders as they are. Otherwise "laptop_computer" is "laptop computer".',
)
OF_CLASSES = _options(
    click.option(
        "--class-names",
        metavar="TABLE",
        help="Names of the classes, if labels are codes: a table with the columns "
        '"label" and "name".',
    ),
    RAW_NAMES,
    click.option(
        "--groups",
        metavar="COLUMN",
        help="The column of TABLE that says which images belong together, such as those of one "
        "object, patient or film: images of a group are never in both the training and the test "
        "part.",
    ),
    click.option(
        "--class-weight",
        type=click.Choice(["balanced"]),
        help="balanced: in training, classes count alike however many images they have.",
    ),
)


def given_options(quiet, **options):
    """Return the options that were given, as parameters of the library."""
    given = {name: value for name, value in options.items() if value is not None}
    return {**given, "verbose": is_shown(quiet), "on_error": "nan"}


def is_shown(quiet):
    """Return whether progress is shown: in a terminal, unless it is to be quiet."""
    return not quiet and sys.stderr is not None and sys.stderr.isatty()  # a service may have none
