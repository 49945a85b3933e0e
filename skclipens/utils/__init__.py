"""Tools for those who extend the package: checks of the protocols of routers and heads.

Imports ``ensemble`` and all below; only tests import it.
"""
