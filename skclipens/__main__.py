"""Run the command ``skclipens`` by ``python -m skclipens``."""

from .cli import main

if __name__ == "__main__":
    main()
