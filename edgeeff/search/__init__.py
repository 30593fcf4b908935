"""MnasNet's search, small: a controller proposes networks, each is timed and trained, and rewarded with both."""
