"""From what the business returns to finished strings: a file per feature noun, a function per card."""
