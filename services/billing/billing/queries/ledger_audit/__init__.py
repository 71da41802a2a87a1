"""Whether the books of a provider are consistent."""
