"""How a file is timed: cases, launches, sessions, the device's condition, and what must be said of the result."""
