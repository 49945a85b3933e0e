"""Programs that run the code of the documentation, draw its pictures and write stubs."""
