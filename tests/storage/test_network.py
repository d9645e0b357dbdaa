"""Where an embedded store must not lie: file systems whose machines share no memory."""

from pathlib import Path

import pytest

from storage.tinydb_file import network_file_system

FOLDER = Path("/srv/bot/var/store")
PLAIN = "nfs nfs4 cifs smb3 9p virtiofs vboxsf prl_fs gpfs beegfs ocfs2 gfs2 glusterfs ceph"
OF_FUSE = "fuse.sshfs fuse.rclone fuse.s3fs fuse.glusterfs fuse.ceph"
KINDS = f"{PLAIN} {OF_FUSE}".split()


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_file_system_is_known(kind):
    assert network_file_system(FOLDER, f"/dev/sda1 / ext4 rw 0 0\nhost:/x /srv/bot {kind} rw 0 0\n") == kind


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "fuseblk", "zfs"])
def test_a_local_one_is_none(kind):
    assert network_file_system(FOLDER, f"host:/x / nfs rw 0 0\n/dev/sda1 /srv {kind} rw 0 0\n") is None


def test_of_two_at_one_place_the_later_lies_on_top():
    automatic = "auto.srv /srv/bot autofs rw 0 0\nhost:/x /srv/bot nfs4 rw 0 0\n"
    assert network_file_system(FOLDER, automatic) == "nfs4"
    assert network_file_system(FOLDER, automatic + "/dev/sdb1 /srv/bot ext4 rw 0 0\n") is None


@pytest.mark.parametrize(
    ("name", "written"),
    [("a b", "a\\040b"), ("a\tb", "a\\011b"), ("a\nb", "a\\012b"), ("a\\b", "a\\134b"), ("a\\040b", "a\\134040b")],
)
def test_signs_that_part_columns_are_read(name, written):
    assert network_file_system(Path("/mnt") / name / "store", f"host:/x /mnt/{written} nfs rw 0 0\n") == "nfs"
