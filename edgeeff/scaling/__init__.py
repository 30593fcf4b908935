"""Compound scaling (Tan & Le 2019): of a network, to a target, for a device, and the search for its bases."""
