"""``python -m skclipens`` is the command ``skclipens``."""

from .cli import main

if __name__ == "__main__":
    main()
