"""What the results say over time: an index over their lines, series, and where a series changed."""
