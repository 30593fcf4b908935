"""The gate of `edgeeff check`: what may be compared, how both sides are measured, and when the answer is clear."""
