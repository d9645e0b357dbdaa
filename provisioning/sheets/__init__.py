"""Sheets: bytes to rows and rows to bytes."""
