"""The command ``skclipens``, which makes a model, a table or a report from images on disk.

Each command is two or three calls of the library. ``click`` is imported when the command runs.
"""

from .._utils._extras import how_to_install

__all__ = ["main"]


def main():
    """Run the command ``skclipens``.

    Raises
    ------
    SystemExit
        Always, with the exit status of the command; or with a message if click is not installed.
    """
    try:
        import click  # noqa: F401
    except ImportError:
        raise SystemExit(f"The command skclipens needs click: {how_to_install('click')}.") from None
    from ._commands import cli

    cli(prog_name="skclipens")
