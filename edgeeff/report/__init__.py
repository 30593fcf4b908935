"""Results as values, and pure functions that render them: one file a format."""
