# SPDX-License-Identifier: GPL-2.0-or-later
"""The package: its files, its control data, and the .deb that is packed and examined in the release's own root."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from scripts.binding import cache
from scripts.deb.documents import write_documents
from scripts.deb.licences import component_table
from scripts.deb.system import RELEASES, System, say, system
from scripts.deb.tree import HOME, SOURCE, private_tree, site_directory

NAME = "transfer-gateway"
MAINTAINER = f"{NAME} maintainers <maintainers@{NAME}.invalid>"
HAND_WRITTEN = SOURCE / "deploy" / "debian"
UNIT = SOURCE / "deploy" / "systemd" / f"{NAME}.service"
TEMPLATE = UNIT.with_name(f"{NAME}@.service")
ADDRESSES = UNIT.with_name("addresses.conf")
NOTIFY_RELOAD = UNIT.with_name("notify-reload.conf")
UNITS = Path("usr/lib/systemd/system")
SECRETS = Path(f"etc/systemd/system/{NAME}.service.d/secrets.conf")
NOTIFY_RELOAD_SINCE = 13
"""The first Debian whose systemd (257; Debian 12: 252) knows Type=notify-reload."""
EXAMPLES = ("asterisk", "config", "freepbx", "grafana", "mosquitto", "prometheus")
COMMAND = f"""\
#!/bin/sh
# The release in use. In Python's isolated mode: nothing of the caller's own comes in.
exec {HOME}/current/bin/python3 -I -B -u -m gateway.cli "$@"
"""
_PACK = """
cd /build
# The form of a source package, which dpkg-shlibdeps looks for.
mkdir debian; printf 'Source: %s\\n\\nPackage: %s\\nArchitecture: any\\n' "$1" "$1" >debian/control
find package/usr/lib -name '*.so' -exec dpkg-shlibdeps -O {} + | sed -n 's/^shlibs:Depends=//p' >needs
# As dpkg-gencontrol counts, which is the same on every file system.
size=$(find package -printf '%y %s\\n' | awk '{ sum += $1 == "f" ? int(($2 + 1023) / 1024) : 1 } END { print sum }')
sed -i "s/@SHLIBS@/$(cat needs)/; s/@SIZE@/$size/" package/DEBIAN/control
find package -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Z"$2" -z"$3" --build package out.deb
"""
_EXAMINE = 'exec lintian --allow-root --fail-on error --tag-display-limit 0 --suppress-tags bogus-mail-host "/build/$1"'


@dataclass(frozen=True)
class Staging:
    """A private tree for the release of `where`, of which packages of any version can be packed, one at a time."""

    where: System
    work: Path

    def pack(
        self, version: str, target: Path, *, quick: bool = False, change: Callable[[Path], None] | None = None
    ) -> Path:
        """The package of `version`, in the directory `target`. Raises BuildError.

        `quick` compresses little. `change` may replace files of the tree's modules, for tests of what goes wrong.
        """
        version = f"{version}-1~deb{RELEASES[self.where.release]}"
        say(f"packing {NAME} {version}")
        with tempfile.TemporaryDirectory(dir=self.work) as name:
            root = Path(name) / "package"
            tree = root / HOME.lstrip("/") / "releases" / version
            shutil.copytree(self.work / "tree", tree, copy_function=_hard_link, symlinks=True)
            site = tree / site_directory(self.where.python)
            if change:
                change(site)
            _write_files(root, self.where)
            _write_documents(root, version, site)
            _write_control(root, version, self.where)
            how = ("gzip", "1") if quick else ("xz", "6")
            epoch = {"SOURCE_DATE_EPOCH": str(_epoch())}
            self.where.run(["sh", "-euc", _PACK, "pack", NAME, *how], writes={Path(name): "/build"}, environment=epoch)
            target.mkdir(parents=True, exist_ok=True)
            made = target / f"{NAME}_{version}_{self.where.architecture}.deb"
            shutil.copy(Path(name) / "out.deb", made)
        return made

    def examine(self, package: Path) -> str:
        """What lintian, of that release, warns of. Raises BuildError where it finds an error."""
        return self.where.run(["sh", "-euc", _EXAMINE, "examine", package.name], reads={package.parent: "/build"})


@contextmanager
def staged(release: str) -> Iterator[Staging]:
    """A private tree for `release`, made once for all packages that are to be packed of it. Raises BuildError."""
    where = system(release)
    with tempfile.TemporaryDirectory(dir=cache.root(), prefix="packing-") as name:
        tree = Path(name) / "tree"
        private_tree(where, tree)
        shutil.copy(SOURCE / "scripts" / "works.sh", tree / "works")
        yield Staging(where, Path(name))


def _write_files(root: Path, where: System) -> None:
    _write(root / "usr/bin" / NAME, COMMAND, 0o755)
    unit, secrets = adapted(UNIT.read_text())
    template, _ = adapted(TEMPLATE.read_text())
    _write(root / UNITS / UNIT.name, unit)
    _write(root / UNITS / TEMPLATE.name, template)
    _write(root / SECRETS, secrets)
    # What is secret is named once for all of them: it stands in the configuration that they share.
    shared = root / UNITS / f"{TEMPLATE.name}.d" / SECRETS.name
    shared.parent.mkdir()
    shared.symlink_to(f"/{SECRETS}")
    if int(RELEASES[where.release]) >= NOTIFY_RELOAD_SINCE:
        reload = _in_usr(NOTIFY_RELOAD.read_text())
        _write(root / UNITS / f"{UNIT.name}.d" / NOTIFY_RELOAD.name, reload)
        _write(root / UNITS / f"{TEMPLATE.name}.d" / NOTIFY_RELOAD.name, of_an_instance(reload))
    (root / "etc" / NAME).mkdir()
    share = root / "usr/share" / NAME
    for example in EXAMPLES:
        left = shutil.ignore_patterns("rules-test*")
        shutil.copytree(SOURCE / "deploy" / example, share / "deploy" / example, ignore=left)
    _write(share / "deploy/systemd" / ADDRESSES.name, ADDRESSES.read_text())
    shutil.copytree(SOURCE / "sip_profiles", share / "sip_profiles")
    overrides = root / "usr/share/lintian/overrides" / NAME
    _write(overrides, (HAND_WRITTEN / "lintian-overrides").read_text())


def adapted(unit: str) -> tuple[str, str]:
    """The unit as the package has it, and the drop-in with the secrets, which are the operator's to name.

    Both are made of deploy/systemd's: its paths, and its commented LoadCredential lines with what stands above them.
    """
    head, _, rest = unit.partition("[Unit]\n")
    licence = head.splitlines()[0]
    secrets = re.search(r"(?:^# .*\n)+(?:^#LoadCredential=.*\n)+", rest, re.MULTILINE)
    if secrets is None:
        raise ValueError(f"{UNIT} has no commented LoadCredential lines any more")
    rest = rest.replace(secrets[0], f"# Secrets: /{SECRETS}\n")
    rest = _in_usr(rest)
    rest = re.sub("^Documentation=.*", f"Documentation=man:{NAME}(1) file:///usr/share/doc/{NAME}", rest, flags=re.M)
    found = re.search(r"^ExecStart=.* --config (\S+)$", rest, re.MULTILINE)
    if found is None:
        raise ValueError(f"{UNIT} does not say where its configuration is")
    asserted = "# A start before there is a configuration fails at once, and says so.\n"
    asserted += f"AssertPathExists={found[1]}/gateway.toml\n"
    edited = f"{NAME}@NAME" if "%i" in found[1] else NAME
    made = f"{licence}\n# What is to be different here goes into `systemctl edit {edited}`.\n[Unit]\n{asserted}{rest}"
    if "/opt/" in made:
        raise ValueError(f"{UNIT} names another path in /opt than the package knows of")
    return made, f"# After a change: systemctl daemon-reload, and restart the service.\n\n[Service]\n{secrets[0]}"


def _in_usr(unit: str) -> str:
    return unit.replace(f"/opt/{NAME}/bin/{NAME}", f"/usr/bin/{NAME}")


def of_an_instance(drop_in: str) -> str:
    """A drop-in of the service as it is for one of several."""
    return re.sub(f"--config /etc/{NAME}$", rf"--config /etc/{NAME}/instances/%i", drop_in, flags=re.MULTILINE)


def _write_documents(root: Path, version: str, site: Path) -> None:
    documents = root / "usr/share/doc" / NAME
    left = shutil.ignore_patterns("plan.md")
    shutil.copytree(SOURCE / "docs", documents / "docs", ignore=left)
    shutil.copy(SOURCE / "README.md", documents)
    (documents / "deploy").symlink_to(f"../../{NAME}/deploy")
    copyrights = (HAND_WRITTEN / "copyright").read_text().replace("@COMPONENTS@\n", component_table(site))
    _write(documents / "copyright", copyrights)
    _write_gz(documents / "changelog.gz", (SOURCE / "CHANGELOG.md").read_text())
    _write_gz(documents / "changelog.Debian.gz", _changelog(version))
    write_documents(root / "usr/share")


def _changelog(version: str) -> str:
    head = f"{NAME} ({version}) stable; urgency=medium"
    change = "  * What changed is in changelog.gz."
    return f"{head}\n\n{change}\n\n -- {MAINTAINER}  {formatdate(_epoch())}\n"


def _write_control(root: Path, version: str, where: System) -> None:
    control = root / "DEBIAN"
    major, minor = where.python.split(".")
    # Only the scripts are to know the version; paths of it stand in them alone.
    filled = {
        "@LIBRARY@": textwrap.dedent((HAND_WRITTEN / "library.sh").read_text()).rstrip(),
        "@VERSION@": version, "@ARCHITECTURE@": where.architecture, "@MAINTAINER@": MAINTAINER,
        "@PYTHON@": f"python3 (>= {where.python}~), python3 (<< {major}.{int(minor) + 1}~)",
    }  # fmt: skip
    for name in ("control", "preinst", "postinst", "prerm", "postrm"):
        text = (HAND_WRITTEN / name).read_text()
        for word, value in filled.items():
            text = text.replace(word, value)
        _write(control / name, text, 0o644 if name == "control" else 0o755)
    _write(control / "conffiles", f"/{SECRETS}\n")
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    ours = [path for path in files if control not in path.parents and path != root / SECRETS]
    sums = "".join(f"{_md5(path)}  {path.relative_to(root)}\n" for path in ours)
    _write(control / "md5sums", sums)


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _write_gz(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    path.chmod(0o644)


def _epoch() -> int:
    """The time that files and the changelog have: $SOURCE_DATE_EPOCH, else the source's own last change."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    return int(max(path.stat().st_mtime for path in (SOURCE / "gateway").rglob("*.py")))


def _hard_link(source: str, target: str) -> None:
    """Stands for shutil's copying, where nobody changes the file, or replaces it who does."""
    Path(target).hardlink_to(source)
