"""Style of figures: colours, resolution and short names, for displays and for benchmarks."""

import re

from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design", 2008: distinguishable with any colour blindness.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, BLACK = "#CC79A7", "#56B4E9", "#F0E442", "#000000"
COLORS = [BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK, YELLOW]  # in the order of their use
DARK, MIDDLE, LIGHT = "0.25", "0.6", "0.95"
SEQUENTIAL = "viridis"

PRINT_DPI = 300

_FAMILY = re.compile(r"^(?:zoo/|timm/|hf-hub:[\w.-]+/)")
_USUAL_TAG = re.compile(r"/openai(?=[@:]|$)")
_WHOLE = re.compile(r"^all:(?=.)")


class PrintFigure(Figure):
    """A figure that is shown in the usual size, and saved with the resolution of print."""

    def savefig(self, fname, *, dpi=PRINT_DPI, **kwargs):
        """Save the figure; see :meth:`matplotlib.figure.Figure.savefig`."""
        super().savefig(fname, dpi=dpi, **kwargs)


def cycle(ax):
    """Use the colours of the palette for the lines of axes."""
    ax.set_prop_cycle(color=COLORS)


def short_names(names):
    """Return names of experts or blocks without the parts that they do not need to be distinct.

    >>> from skclipens.inspection._style import short_names
    >>> short_names(["zoo/RN20:kernel", "ViT-B-32/openai:kernel", "all:kernel-all"])
    ['RN20 kernel', 'ViT-B-32 kernel', 'kernel-all']
    >>> short_names(["zoo/RN50", "RN50/openai"])
    ['zoo/RN50', 'RN50/openai']
    """
    names = [str(name) for name in names]
    short = [_short(name) for name in names]
    return [b if short.count(b) == 1 else a for a, b in zip(names, short)]


def _short(name):
    name = _USUAL_TAG.sub("", _WHOLE.sub("", _FAMILY.sub("", name)))
    if name.startswith(("/", "~", ".")):  # a directory: its last part is the model's name
        name = name.rpartition("/")[2] or name
    block, colon, head = name.rpartition(":")
    return f"{block} {head}" if colon and block else name
