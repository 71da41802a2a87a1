"""Whether a provider's books are right."""
