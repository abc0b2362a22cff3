"""What a user asked for: frozen values, the scenario file, and its errors; no effects."""
