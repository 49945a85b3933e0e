"""What several houses share and no user calls. May import no other house."""
