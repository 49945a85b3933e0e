"""The command ``skclipens``: pictures on the disk to a model, a table or a report.

Each command is two or three calls of the library. ``click`` is imported when the command runs.
"""

from .._utils._extras import how_to_install

__all__ = ["main"]


def main():
    """Run the command ``skclipens``.

    Raises
    ------
    SystemExit
        Always, with the status of the command; and where click is not installed.
    """
    try:
        import click  # noqa: F401
    except ImportError:
        raise SystemExit(f"The command skclipens needs click: {how_to_install('click')}.") from None
    from ._commands import cli

    cli(prog_name="skclipens")
