"""Scripts behind every comparison with a peer that the README states."""
