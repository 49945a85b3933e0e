"""Write self-contained HTML pages with tables, figures and pictures."""

import base64
import io
from html import escape

from ..images import load_image
from ._outputs import beside

_THUMBNAIL = (224, 224)  # twice the shown size, to be sharp on dense screens
_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  overflow-wrap: anywhere }
h1 { line-height: 1.2 } h2 { margin: 2.5rem 0 .75rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; overflow-wrap: normal }
td, th { padding: .15rem .8rem .15rem 0; text-align: right; vertical-align: top }
td:first-child, th:first-child { text-align: left; overflow-wrap: anywhere; min-width: 6rem }
tr { border-bottom: 1px solid #8884 }
.plot { background: white; max-width: none; margin-top: 1rem }
@media (max-width: 30rem) { td, th { padding-right: .4rem }
  td:first-child, th:first-child { min-width: 4.5rem } }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.5rem, 1fr)); gap: 1rem }
figure { margin: 0 } figcaption { font-size: .8rem; line-height: 1.35; margin-top: .3rem }
figure img { width: 100%; height: 7.5rem; object-fit: contain; background: #8882 }
"""


def write_page(path, title, parts):
    """Write a page that needs no other file; the parts are HTML."""
    head = (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
    )
    with beside(path) as part, open(part, "w", encoding="utf-8") as file:
        file.write("\n".join([head, f"<h1>{escape(title)}</h1>", *parts, "</body></html>\n"]))


def section(title, *parts):
    """Return a heading and the parts below it; an empty string if all parts are empty."""
    return "\n".join([f"<h2>{escape(title)}</h2>", *parts]) if any(parts) else ""


def paragraph(text):
    """Return a paragraph of text."""
    return f"<p>{escape(text)}</p>"


def table(head, rows):
    """Return a table, which scrolls if the screen is too narrow for it."""
    lines = [("th", head), *(("td", row) for row in rows)]
    cells = ["".join(f"<{tag}>{escape(str(c))}</{tag}>" for c in row) for tag, row in lines]
    text = "\n".join(f"<tr>{line}</tr>" for line in cells)
    return f"<div class='scroll'><table>{text}</table></div>"


def axes(width, height):
    """Return axes of a figure of this size in inches, at most 24 by 24."""
    # Without pyplot, which may need a screen, and keeps figures open.
    from matplotlib.figure import Figure

    return Figure(figsize=(min(width, 24), min(height, 24)), layout="constrained").subplots()


def plot(ax, alt):
    """Return the figure of axes, which scrolls if the screen is too narrow for it."""
    file = io.BytesIO()
    ax.figure.savefig(file, format="png", dpi=110)
    width = ax.figure.get_figwidth()
    # As wide as the page, but 60 to 96 pixels per inch, so that numbers can be read.
    style = f"class='plot' style='width: min({96 * width:.0f}px, max(100%, {60 * width:.0f}px))'"
    return f"<div class='scroll'>{_image(file, alt, style)}</div>"


def gallery(images, captions):
    """Return small pictures in rows.

    Images are as :func:`skclipens.images.load_image` takes them. The caption of each is a list of
    lines: the last one is its alternative text and tooltip, the others are shown below it.
    """
    figures = [
        f"<figure>{_thumbnail(image, lines[-1])}"
        f"<figcaption>{'<br>'.join(map(escape, lines[:-1]))}</figcaption></figure>"
        for image, lines in zip(images, captions, strict=True)
    ]
    return f"<div class='gallery'>{''.join(figures)}</div>" if figures else ""


def _thumbnail(image, alt):
    picture, file = load_image(image), io.BytesIO()
    picture.thumbnail(_THUMBNAIL)
    picture.save(file, "PNG")
    return _image(file, alt)


def _image(file, alt, style=""):
    content = base64.b64encode(file.getvalue()).decode()
    alt = escape(alt)
    return f'<img {style} alt="{alt}" title="{alt}" src="data:image/png;base64,{content}">'
