"""A rollout rehearsed: simulated people and devices, the real use cases, a copy of the data, and no network."""
