"""Programs that make the embedded zoo and the pictures that ship with the package."""
