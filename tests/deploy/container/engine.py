# SPDX-License-Identifier: GPL-2.0-or-later
"""Podman, with storage, state and configuration of its own, and what builds take from this machine.

No registry is asked for anything: what an image is made of comes from a root of Debian that mmdebstrap makes, by the
same mirror that this machine uses. Layers are kept in the cache, by what they are made of, from one run to the next.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.binding import cache
from scripts.deb.system import debian_root

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
NEEDED = ("podman", "crun", "mmdebstrap")
IMAGE = "localhost/transfer-gateway:latest"
"""As compose.yaml names it."""
LENT = "/cache"
"""Where a build has what was compiled before."""
# A registry's slim images leave out the same.
SLIM = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
# No cgroups: whoever tests may be in a container that may not make any. Nothing of this machine's own configuration of
# containers, nor of its containers, is read or changed.
CONFIGURATION = """
[containers]
cgroups = "disabled"
netns = "host"
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
volume_path = "{work}/volumes"
tmp_dir = "{work}/tmp"
[engine.runtimes]
crun = ["{work}/crun"]
"""
# Who tests may not be allowed to raise a limit beyond their own: what asks for more gets that. And crun will not start
# where it sees both versions of cgroups, though none are asked for.
WITHIN_LIMITS = """\
#!{python} -I
import json, os, resource, sys
for option, name in (("--bundle", "config.json"), ("--process", "")):
    if option in sys.argv:
        path = os.path.join(sys.argv[sys.argv.index(option) + 1], name).rstrip("/")
        with open(path) as file:
            told = json.load(file)
        for limit in told.get("process", told).get("rlimits", []):
            most = resource.getrlimit(getattr(resource, limit["type"]))[1]
            if most != resource.RLIM_INFINITY:
                limit["hard"] = min(limit["hard"], most)
                limit["soft"] = min(limit["soft"], most)
        with open(path, "w") as file:
            json.dump(told, file)
away = 'umount --lazy /sys/fs/cgroup/unified 2>/dev/null; exec crun "$@"'
os.execvp("unshare", ["unshare", "--mount", "sh", "-c", away, "crun", *sys.argv[1:]])
"""


class Engine:
    """`with engine() as podman`: what it has started is gone afterwards."""

    base = ""
    """The image of a minimal Debian that IMAGE is built from."""

    def __init__(self, storage: Path, work: Path) -> None:
        self.work = work
        files = {
            "containers.conf": CONFIGURATION.format(work=work),
            "storage.conf": f'[storage]\ndriver = "overlay"\ngraphroot = "{storage}"\nrunroot = "{work}/run"\n',
            "registries.conf": 'unqualified-search-registries = ["docker.io"]\n',
            "crun": WITHIN_LIMITS.format(python=sys.executable),
        }
        for name, text in files.items():
            (work / name).write_text(text)
        (work / "crun").chmod(0o755)
        self.environment = {
            "CONTAINERS_CONF": str(work / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(work / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(work / "registries.conf"),
            "TMPDIR": str(work),
            "DISABLE_HC_SYSTEMD": "true",  # or a container with a check of its health would not start without one
        }

    def __call__(self, *words: str | Path, check: bool = True, quiet: bool = True) -> str:
        """What a command of podman's prints. Raises AssertionError where it fails, or the time is over."""
        done = subprocess.run(
            ["podman", *map(str, words)], cwd=ROOT, env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE if quiet else None, text=True, check=False, timeout=540,
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"podman {' '.join(map(str, words))[:200]}: {done.stderr or ''}"
        return done.stdout

    def inspect(self, name: str) -> dict[str, Any]:
        """What podman knows of a container or an image."""
        found: dict[str, Any] = json.loads(self("inspect", name))[0]
        return found

    def take_base(self, release: str) -> None:
        """Have a minimal Debian as `base`, as a registry's slim ones are."""
        root = debian_root("base", release, (), without=SLIM)
        self.base = f"localhost/debian-{release}:{root.name}"
        if self.base not in self("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines():
            self.take(self.base, root)

    def take(self, name: str, root: Path, *changes: str) -> None:
        """Have the files in the directory `root` as an image; `changes` are lines as a Dockerfile has them."""
        pack = ["tar", "-C", str(root), "--one-file-system", "--create", "."]
        with subprocess.Popen(pack, stdout=subprocess.PIPE) as packed:
            command = ["podman", "import", "--quiet", *(f"--change={line}" for line in changes), "-", name]
            environment = {**os.environ, **self.environment}
            subprocess.run(command, env=environment, stdin=packed.stdout, stdout=subprocess.DEVNULL, check=True)
        assert packed.returncode == 0

    def build(self) -> None:
        """Make IMAGE, and the stage that it is built in, of this tree's Dockerfile, from `base`."""
        [command, *words] = documented("docker build")
        options = ["--pull=never", "--layers", "--format=docker", "--isolation=chroot", f"--build-arg=BASE={self.base}"]
        options.append(f"--build-arg=TRANSFER_GATEWAY_CACHE={LENT}")
        for place in self._lent():
            options += ["--volume", place]
        # By a name of its own, so that its layers are there the next time.
        stage = ["--target=build", "-t", "transfer-gateway:build", "."]
        for asked in (stage, words):
            self(command, *options, *asked, quiet=False)
        for container in self("ps", "--all", "--external", "--quiet").split():
            self("rm", "--force", "--ignore", container)  # of a build that was ended: it holds on to its layers
        self("image", "prune", "--force")  # layers that no build will take again

    def tidy(self) -> None:
        """Have no container and no volume."""
        for container in self("ps", "--all", "--quiet").split():
            # With those that were started after it because of it, which may have gone the same way before.
            self("rm", "--force", "--ignore", "--depend", "--time=5", container)
        self("volume", "rm", "--force", "--all")

    def _lent(self) -> Iterator[str]:
        """What a build sees of this machine: what was compiled before, and where pip gets its packages from."""
        yield f"{cache.root()}:{LENT}"
        asked = [sys.executable, "-m", "pip", "config", "list"]
        said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
        settings = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        lines = ["[global]"]
        for name in ("index-url", "cert", "proxy", "trusted-host"):
            for place in (":env:.", "global."):
                if value := settings.get(f"{place}{name}", "").strip("'"):
                    if name == "cert":
                        yield f"{value}:/run/machine.crt:ro"
                        value = "/run/machine.crt"
                    lines.append(f"{name} = {value}")
                    break
        (self.work / "pip.conf").write_text("\n".join([*lines, ""]))
        yield f"{self.work}/pip.conf:/etc/pip.conf:ro"


def documented(program: str) -> list[str]:
    """The words, after its first, of the command of docs/operations.md that begins as `program`: "docker stop"."""
    text = (ROOT / "docs" / "operations.md").read_text().replace("\\\n", " ")
    [line] = re.findall(rf"^{program} .*$", text, re.MULTILINE)
    return shlex.split(line, comments=True)[1:]


def missing() -> str:
    """What this machine lacks to build images and run containers; empty: nothing."""
    if os.geteuid() != 0:
        return "root"
    absent = [program for program in NEEDED if shutil.which(program) is None]
    return f"the programs {', '.join(absent)}" if absent else ""


@contextmanager
def engine() -> Iterator[Engine]:
    """Podman for one run of tests; another run on this machine waits for its end."""
    kept = cache.root() / "containers"
    kept.mkdir(parents=True, exist_ok=True)
    # Short: the sockets of a container are in it. The same each time, as what is kept remembers it.
    work = Path(tempfile.gettempdir(), f"podman-{cache.digest(str(kept))}")
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Of a run that was killed: without it podman takes the machine to have been started anew.
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(0o700)
        podman = Engine(kept / "storage", work)
        try:
            yield podman
        finally:
            podman.tidy()
            subprocess.run(["umount", "-q", kept / "storage" / "overlay"], check=False)
            shutil.rmtree(work, ignore_errors=True)


def refused(podman: Engine) -> str:
    """What this machine says where no container can be run inside it, as in some containers; empty: it can."""
    command = ["podman", "run", "--rm", "--pull=never", podman.base, "true"]
    environment = {**os.environ, **podman.environment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return "" if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"
