"""The whole product at the size it was made for: 200 000 devices, 20 000 live codes, 1 000 000 audited facts."""
