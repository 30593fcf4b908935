"""Weights for a network: where they come from, which layout their file has, and random ones."""
