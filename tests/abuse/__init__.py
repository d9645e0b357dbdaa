"""Attacks on a running service, measured: `python -m tests.abuse slow` and `python -m tests.abuse timing`."""
