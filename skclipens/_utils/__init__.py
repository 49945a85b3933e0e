"""What several houses share and no user calls."""
