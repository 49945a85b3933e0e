"""Programs that measure skclipens beside its alternatives."""
