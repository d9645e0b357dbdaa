"""Files with secrets are read only where nobody else on this computer can get at them."""

import os
from pathlib import Path

import pytest

from bot.private_files import NotPrivate, group_can_read, read_private

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX'")


def made(folder: Path, mode: int) -> Path:
    path = folder / "secret"
    path.write_bytes(b"secret")
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o640, 0o700])
def test_what_nobody_else_can_get_at_is_read(tmp_path: Path, mode: int) -> None:
    path = made(tmp_path, mode)
    assert read_private(path, 100) == b"secret"
    assert read_private(path, 3) == b"sec"
    assert group_can_read(path) is bool(mode & 0o040)


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        *((mode, "Everybody on this computer") for mode in (0o604, 0o602, 0o601, 0o644, 0o666, 0o444)),
        *((mode, "Its group can change it") for mode in (0o620, 0o660)),
    ],
)
def test_what_others_can_get_at_is_refused_with_the_cure(tmp_path: Path, mode: int, said: str) -> None:
    path = made(tmp_path, mode)
    with pytest.raises(NotPrivate, match=f"^{said}.* Say: chmod 600 {path}$"):
        read_private(path, 100)


def test_a_link_leads_to_the_file_that_counts(tmp_path: Path) -> None:
    """As in a mounted secret, where each name is a link to a link."""
    (tmp_path / "..data").mkdir()
    path = made(tmp_path / "..data", 0o400)
    (tmp_path / "link").symlink_to(path)
    assert read_private(tmp_path / "link", 100) == b"secret"
    path.chmod(0o444)
    with pytest.raises(NotPrivate):
        read_private(tmp_path / "link", 100)


def test_neither_a_folder_nor_a_pipe_is_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(NotPrivate, match="a folder or a device"):
            read_private(path, 100)


def test_a_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_private(tmp_path / "secret", 100)
    assert not group_can_read(tmp_path / "secret")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away")
def test_it_belongs_to_the_service_or_to_root(tmp_path: Path) -> None:
    path = made(tmp_path, 0o600)
    os.chown(path, 12345, -1)
    with pytest.raises(NotPrivate, match=f"^It belongs to another user. Say: chown 0 {path}$"):
        read_private(path, 100)


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    path = made(tmp_path, 0o644)
    before = len(os.listdir("/dev/fd"))
    for _ in range(20):
        with pytest.raises(NotPrivate):
            read_private(path, 100)
    assert len(os.listdir("/dev/fd")) == before
