"""Files with secrets, as they have to be: nobody but their owner can read them."""

from pathlib import Path


def private(path: Path, text: str | bytes) -> Path:
    """The file with this content, readable by its owner alone."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)
    return path
