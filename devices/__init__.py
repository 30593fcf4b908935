"""Devices that a file can be timed on. One module a kind of device; `catalog/` holds one TOML file a model."""
