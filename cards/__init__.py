"""Cards: view-models with finished strings, and the templates that give them their places."""
