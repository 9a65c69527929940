"""Synthetic training data, one file per domain: seeded, streaming, image and truth made together."""
