"""A Dockerfile, read and played without Docker: which files get where, and a file system as `docker run --read-only`
makes it, in a mount namespace of its own.

The packages are those of the environment that the tests run in; what of the machine lies outside of it is there to be
read, and the repository is not there at all.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

HOUSE: Final = Path(__file__).parents[2]
PACKAGES: Final = "/opt/venv"  # where the image has them


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: its name in capitals, and the rest with its lines joined."""

    name: str
    rest: str


def instructions(text: str) -> list[Step]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Step(*re.split(r"\s+", line.strip(), maxsplit=1)) for line in joined.splitlines() if line.strip()]


def ignored(path: str, patterns: Sequence[str]) -> bool:
    """Whether .dockerignore leaves a file out: the last pattern that matches it, or a folder above it, decides."""
    parts = path.split("/")
    above = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    out = False
    for pattern in patterns:
        bare = pattern.removeprefix("!")
        if any(_matches(each, bare) for each in above):
            out = not pattern.startswith("!")
    return out


def _matches(path: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return any(_matches(path.split("/", depth)[depth], pattern[3:]) for depth in range(path.count("/") + 1))
    names, wanted = path.split("/"), pattern.split("/")
    return len(names) == len(wanted) and all(map(fnmatchcase, names, wanted))


def patterns(house: Path) -> list[str]:
    text = (house / ".dockerignore").read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


@dataclass(slots=True)
class Image:
    """What the last stage of a Dockerfile comes to."""

    root: Path  # its files, as far as they come from the repository
    env: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)  # the last USER, WORKDIR, VOLUME, STOPSIGNAL …
    runs: list[str] = field(default_factory=list)

    def command(self, name: str) -> list[str]:
        """CMD or HEALTHCHECK as a list of words."""
        words: list[str] = json.loads(self.said[name][self.said[name].index("[") :])
        return words


def built(house: Path, folder: Path) -> Image:
    """Plays COPY, and of RUN what compiles our files; the packages are left to whoever runs it."""
    stages: dict[str, Image] = {}
    image = Image(folder / "none")
    for number, step in enumerate(instructions((house / "Dockerfile").read_text(encoding="utf-8"))):
        match step.name:
            case "FROM":
                image = Image(folder / str(number))
                image.root.mkdir(parents=True)
                stages[step.rest.rpartition(" AS ")[2]] = image
            case "COPY":
                _copy(step.rest.split(), house, image, stages)
            case "ENV" | "LABEL":
                pairs = dict(pair.split("=", 1) for pair in shlex.split(step.rest))
                (image.env if step.name == "ENV" else image.labels).update(pairs)
            case "RUN":
                image.runs.append(step.rest)
                if step.rest.startswith("python -m compileall"):
                    *options, place = step.rest.split()[3:]
                    compiled = [sys.executable, "-m", "compileall", *options, str(image.root / place.lstrip("/"))]
                    subprocess.run(compiled, check=True)
            case _:
                image.said[step.name] = step.rest
    return image


def _copy(words: list[str], house: Path, image: Image, stages: Mapping[str, Image]) -> None:
    *options, source, target = words
    stage = next((stages[word.removeprefix("--from=")] for word in options if word.startswith("--from=")), None)
    origin = stage.root if stage else house
    left_out = [] if stage else patterns(house)
    if source == PACKAGES:
        return
    for path in _files(origin / source.lstrip("/")):
        name = path.relative_to(origin).as_posix()
        if not ignored(name, left_out):
            inner = path.relative_to(origin / source.lstrip("/")).as_posix()
            place = image.root / target.lstrip("/") / (path.name if inner == "." else inner)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def _files(path: Path) -> Iterator[Path]:
    yield from ([path] if path.is_file() else (each for each in sorted(path.rglob("*")) if each.is_file()))


def no_namespace() -> str:
    """Why no file system can be put together here; empty where it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root on Linux, for a mount namespace"
    for tool in ("unshare", "mount", "setpriv"):
        if not shutil.which(tool):
            return f"needs {tool}"
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    )
    return "" if tried.returncode == 0 else "this machine allows no mounts"


SCRIPT: Final = r"""
set -eu
root=$1 app=$2 data=$3 secrets=$4 packages=$5 base=$6 user=$7 work=$8; shift 8
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$root"
shown() { mkdir -p "$root$2"; mount --bind "$1" "$root$2"; mount -o remount,bind,ro "$root$2"; }
for name in bin etc lib lib32 lib64 sbin usr; do
  if [ -L "/$name" ]; then ln -s "$(readlink "/$name")" "$root/$name"
  elif [ -d "/$name" ]; then shown "/$name" "/$name"; fi
done
case $base in /usr | /usr/*) ;; *) shown "$base" "$base" ;; esac
shown "$app" /app
shown "$packages" /opt/venv
shown "$secrets" /run/secrets
mkdir -p "$root/data" "$root/tmp" "$root/proc" "$root/dev"
mount --bind "$data" "$root/data"
mount -t tmpfs -o mode=1777,size=64m tmpfs "$root/tmp"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755,ro tmpfs "$root/dev/shm"
mount -o remount,ro "$root"
cd "$root"
exec chroot --userspec="$user" "$root" /bin/sh -c 'cd "$0" && exec "$@"' "$work" "$@"
"""


@dataclass(frozen=True, slots=True)
class Container:
    """An image with what one `docker run` gives it."""

    image: Image
    folder: Path  # ours: mount point, data and secrets
    env: Mapping[str, str]
    packages: Path = field(default_factory=lambda: Path(os.environ.get("IMAGE_PACKAGES", sys.prefix)))

    def command(self, *words: str) -> list[str]:
        places = [str(self.folder / name) for name in ("root", "data", "secrets")]
        root, data, secrets = places
        environ = [f"{name}={text}" for name, text in (self.image.env | dict(self.env)).items()]
        return [
            *("unshare", "--mount", "sh", "-c", SCRIPT, "sh"),
            *(root, str(self.image.root / "app"), data, secrets, str(self.packages), sys.base_prefix),
            *(self.image.said["USER"], self.image.said["WORKDIR"]),
            *("env", "-i", *environ, *words),
        ]

    def run(self, *words: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*words), capture_output=True, text=True, timeout=seconds, check=False)


def container(image: Image, folder: Path, env: Mapping[str, str], secrets: Mapping[str, str]) -> Container:
    """`secrets` are files below /run/secrets, readable by the user of the image alone."""
    user, group = map(int, image.said["USER"].split(":"))
    for name in ("root", "data", "secrets"):
        (folder / name).mkdir()
    for name, text in secrets.items():
        (folder / "secrets" / name).write_text(text, encoding="utf-8")
    for path in (folder / "data", folder / "secrets", *(folder / "secrets").iterdir()):
        os.chown(path, user, group)
        path.chmod(0o700 if path.is_dir() else 0o400)
    return Container(image, folder, env)
