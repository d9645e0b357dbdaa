"""The business of provisioning: no chat, no HTTP, no database; I/O only through the ports."""
