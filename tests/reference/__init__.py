"""docs/configuration.md's tables, made of the settings: `make docs`."""
