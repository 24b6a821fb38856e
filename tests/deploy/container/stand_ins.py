# SPDX-License-Identifier: GPL-2.0-or-later
"""Images under the names that deploy/compose.yaml has, for where no registry is reached.

What is in them are the programs of the test bed, of the versions that the file names, with the users, directories and
entry points that the images of a registry have. Of Grafana the test bed has nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.support.fetch import programs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.container.engine import Engine

USERS = {"root": 0, "mosquitto": 1883, "nobody": 65534}
MERGED = ("bin", "lib", "lib64", "sbin")


def provide(podman: Engine, images: dict[str, str]) -> None:
    """Have an image for each of these services; `images` are the names that they go by."""
    for service, image in images.items():
        name = f"docker.io/{image if '/' in image else f'library/{image}'}"
        root = podman.work / f"root-{service}"
        match service:
            case "mosquitto":
                _fill(root, "usr/sbin/mosquitto")
                _owned(root / "mosquitto" / "data", USERS["mosquitto"])
                podman.take(name, root, "EXPOSE 1883", "VOLUME /mosquitto/data")
            case "prometheus":
                _fill(root, "usr/bin/prometheus")
                _owned(root / "prometheus", USERS["nobody"])
                lines = ("USER nobody", "WORKDIR /prometheus", 'ENTRYPOINT ["/bin/prometheus"]', "VOLUME /prometheus")
                podman.take(name, root, *lines)
            case _:
                raise AssertionError(f"the test bed has nothing for {service}")


def _fill(root: Path, program: str) -> None:
    """Put a program of the test bed into `root`, and what it is linked with."""
    bed = programs()
    listing = [str(bed.loader), "--library-path", str(bed.lib), "--list", str(bed.root / program)]
    said = subprocess.run(listing, check=True, capture_output=True, text=True).stdout
    libraries = [bed.lib / name for name in re.findall(r"^\t([^/\s]+) =>", said, re.MULTILINE)]
    for path in (bed.root / program, bed.loader, *libraries):
        place = root / path.relative_to(bed.root)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    shutil.copytree(bed.root / "usr/lib64", root / "usr/lib64", symlinks=True)
    for name in MERGED:
        (root / "usr" / name).mkdir(exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    (root / "etc").mkdir()
    lines = [f"{name}:x:{number}:{number}::/:/nonexistent\n" for name, number in USERS.items()]
    (root / "etc/passwd").write_text("".join(lines))
    (root / "etc/group").write_text("".join(f"{name}:x:{number}:\n" for name, number in USERS.items()))
    (root / "tmp").mkdir(mode=0o1777)


def _owned(directory: Path, user: int) -> None:
    directory.mkdir(parents=True)
    os.chown(directory, user, user)
