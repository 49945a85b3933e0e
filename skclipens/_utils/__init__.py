"""What several houses share and no user calls.

Imports no other house; all others may import it.
"""
