"""The command ``skclipens``: pictures on the disk to a model, a table or a report.

Each command is two or three calls of the library. ``click`` is imported when the command runs.
"""

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
        raise SystemExit(
            'The command skclipens needs click: pip install "skclipens[cli]".'
        ) from None
    from ._commands import cli

    cli(prog_name="skclipens")
