"""The verdicts of `edgeeff check` for people and for CI systems: pure functions from checks to text."""
