"""A file per feature noun; each owns a `router`."""
