# SPDX-License-Identifier: GPL-2.0-or-later
"""What speaks against a configuration on the very machine: warnings of `transfer-gateway check`.

A root that checks may read everything; the service's user may not. Who that is, and which files systemd hands it, is
read from the unit.
"""

import errno
import grp
import os
import pwd
import shlex
import socket
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config.access import may, may_read
from gateway.config.instances import MAIN_FILE
from gateway.config.loading import PROFILES, Config
from gateway.config.mistakes import Mistake

UNIT = "transfer-gateway.service"
STATE_ROOT = Path("/var/lib")
"""Where systemd makes the directories that StateDirectory= names."""
_ANSWER_S = 5.0
_NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


@dataclass
class Service:
    """The gateway's unit, as far as it says what the service may read."""

    user: str = ""
    groups: list[str] = field(default_factory=list)
    credentials: set[str] = field(default_factory=set)
    state: set[str] = field(default_factory=set)
    writable: set[Path] = field(default_factory=set)
    closed: bool = False  # all else is read-only to it
    config: Path = Path("/etc/transfer-gateway")

    @property
    def ids(self) -> tuple[int | None, set[int]]:
        """Its user, and its groups; None: a user that there is only while it runs."""
        groups = {grp.getgrnam(name).gr_gid for name in self.groups if _is_group(name)}
        try:
            found = pwd.getpwnam(self.user)
        except KeyError:
            return None, groups
        return found.pw_uid, {*groups, found.pw_gid}


def unit_text() -> str:
    """The unit with all that changes it, `systemctl cat`; empty where there is none."""
    try:
        asked = subprocess.run(  # noqa: S603 - nothing of it comes from elsewhere
            ["systemctl", "cat", "--no-pager", UNIT],  # noqa: S607 - wherever the system has it
            capture_output=True, text=True, timeout=_ANSWER_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return asked.stdout if asked.returncode == 0 else ""


def service(unit: str) -> Service | None:
    """What a unit's text says of these things (systemd.exec(5)); None without one."""
    found, is_unit = Service(), False
    for line in unit.splitlines():
        key, separator, value = line.strip().partition("=")
        if not separator or key.startswith(("#", ";")):
            continue
        is_unit = True
        match key:
            case "User":
                found.user = value.strip()
            case "Group" | "SupplementaryGroups":
                found.groups = [*found.groups, *value.split()] if value else []
            case "LoadCredential":
                name = value.partition(":")[0]
                found.credentials = {*found.credentials, name} if name else set()
            case "StateDirectory":
                found.state = {*found.state, *value.split()} if value else set()
            case "ReadWritePaths":
                found.writable = {*found.writable, *(Path(each.lstrip("-+")) for each in value.split())}
            case "ProtectSystem":
                found.closed = value.strip() == "strict"
            case "ExecStart" if "--config" in (words := _words(value))[:-1]:
                found.config = Path(words[words.index("--config") + 1])
    return found if is_unit else None


def look_around(config: Config, unit: str | None = None) -> Iterator[Mistake]:
    """Every warning that this machine gives reason for; `unit` is the text of the service's, asked for if not given."""
    yield from _addresses(config)
    yield from _readable_by_others(config)
    found = service(unit_text() if unit is None else unit)
    yield from _state(config, found)
    if os.geteuid() == 0 and found is not None and found.config.absolute() == config.directory:
        yield from _unreadable(config, found)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return []


def _is_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _addresses(config: Config) -> Iterator[Mistake]:
    """Addresses that are to be listened on, and are none of this machine's."""
    wanted = [("sip.bind_address", config.sip.bind_address), ("sip.bind_address6", config.sip.bind_address6)]
    if config.http.port:
        wanted.append(("http.bind_address", config.http.bind_address))
    if config.platform is not None:
        wanted.append(("platform.bind_address", config.platform.bind_address))
    for key, address in wanted:
        if address and not _is_ours(address):
            yield Mistake(MAIN_FILE, key, f"{address} is no address of this machine; the gateway would not start here")


def _is_ours(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as trial:
            trial.bind((address, 0))
    except OSError as error:
        return error.errno not in _NOT_HERE
    return True


def _readable_by_others(config: Config) -> Iterator[Mistake]:
    for name in sorted(config.secret_files):
        if may_read(config.home / name, None, set()):
            problem = "everybody on this machine can read this secret; chmod o-rwx"
            yield Mistake(name, "mode", problem)


def _state(config: Config, found: Service | None) -> Iterator[Mistake]:
    """A state directory that cannot be written to."""
    directory = config.gateway.state_dir
    if found is not None and any(directory == STATE_ROOT / name for name in found.state):
        return  # systemd makes it, and gives it to the service
    if found is not None and found.closed and not any(directory.is_relative_to(each) for each in found.writable):
        problem = (
            f"the unit lets the service write to {' and '.join(sorted(found.state)) or 'nothing'} in {STATE_ROOT} alone"
        )
        yield Mistake(MAIN_FILE, "gateway.state_dir", f"{directory}: {problem}; ReadWritePaths= adds to that")
        return
    existing = next((each for each in (directory, *directory.parents) if each.exists()), directory)
    if not existing.is_dir():
        yield Mistake(MAIN_FILE, "gateway.state_dir", f"{existing} is no directory")
        return
    user, groups = found.ids if found is not None and os.geteuid() == 0 else (os.geteuid(), set(os.getgroups()))
    if user == 0 and os.geteuid() == 0:
        return
    if not may(existing, user, groups, stat.S_IWOTH | stat.S_IXOTH):
        whom = f"the service ({found.user or 'its user'})" if found is not None and os.geteuid() == 0 else "you"
        what = "cannot be written to" if existing == directory else f"is not there, and {existing} cannot be written to"
        yield Mistake(MAIN_FILE, "gateway.state_dir", f"{directory} {what} by {whom}")


def _unreadable(config: Config, found: Service) -> Iterator[Mistake]:
    """Files that root reads and the service cannot."""
    user, groups = found.ids
    if user == 0:
        return
    profiles = [f"{PROFILES}/{name}.toml" for name in (*config.trunks, *config.pbxs)]
    # systemd hands out a file under a name of its own, which is looked up by the name that stands in the key.
    handed = {name for name in config.files if Path(name).name in found.credentials}
    for name in sorted({MAIN_FILE, *profiles, *config.files} - handed):
        path = config.home / name
        if path.exists() and not may_read(path, user, groups):
            way = f", nor is it handed to it (LoadCredential={path.name}:{path})" if name in config.secret_files else ""
            yield Mistake(name, "mode", f"the service's user, {found.user or 'root'}, cannot read it{way}")
