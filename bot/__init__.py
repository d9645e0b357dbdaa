"""The doors: the only room that knows Teams and HTTP."""
