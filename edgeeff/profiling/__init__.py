"""Where the time of a network goes, op by op."""
