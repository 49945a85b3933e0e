"""Private helpers that several subpackages share."""
