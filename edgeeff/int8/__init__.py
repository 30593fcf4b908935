"""What the quantizer, the writers and the command line share about networks of integers."""
