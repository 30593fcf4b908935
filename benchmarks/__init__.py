"""Runtimes: what times a file on a device. One module a runtime, and the runner that is pushed to boards."""
