"""How the embedded zoo and the pictures that ship with the package are made."""
