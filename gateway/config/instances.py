# SPDX-License-Identifier: GPL-2.0-or-later
"""Several gateways of one configuration: a directory whose `gateway.toml` names another as its `base`.

    base = "/etc/transfer-gateway"

    [gateway]
    instance = "gw-2"
    state_dir = "/var/lib/transfer-gateway/gw-2"

What it says takes the place of what the base says, key by key; profiles, secrets and all else are the base's.
"""

from pathlib import Path

from gateway.config.mistakes import Mistake
from gateway.config.reading import Table, read_table

MAIN_FILE = "gateway.toml"
INSTANCES = "instances"
"""Where a base has the directories of its instances, by their names."""
OWN = ("gateway", "sip", "http", "platform", "mqtt", "history", "messages")
"""The tables that an instance may have keys of."""


def read_main(directory: Path, mistakes: list[Mistake]) -> tuple[Table | None, Path]:
    """`gateway.toml` with what its base says, and where profiles and secrets lie; None: it can't be read."""
    if _is_missing(directory / MAIN_FILE):
        ways = "`transfer-gateway init` writes one, and --config names another directory"
        mistakes.append(Mistake(MAIN_FILE, "file", f"there is none in {directory}; {ways}"))
        return None, directory
    own = read_table(directory, MAIN_FILE, mistakes)
    if own is None or "base" not in own:
        return own, directory
    named = own.pop("base")
    if not isinstance(named, str) or not named:
        mistakes.append(Mistake(MAIN_FILE, "base", "must be the directory of the configuration that this one rests on"))
        return None, directory
    home = (directory / named).resolve()
    found: list[Mistake] = []
    base = read_table(home, MAIN_FILE, found)
    mistakes += [Mistake(str(home / each.file), each.key, each.problem) for each in found]
    if base is None:
        return None, home
    if "base" in base:
        mistakes.append(Mistake(MAIN_FILE, "base", f"{home / MAIN_FILE} names a base too; one is enough"))
        return None, home
    for name in [name for name in own if name not in OWN]:
        del own[name]
        mistakes.append(Mistake(MAIN_FILE, name, f"belongs into {home / MAIN_FILE}; here may be {', '.join(OWN)}"))
    return {**base, **{name: _over(base.get(name), table) for name, table in own.items()}}, home


def instances(home: Path) -> tuple[Path, ...]:
    """The directories of the instances that rest on the configuration in `home`, by their names."""
    return tuple(sorted(file.parent for file in (home / INSTANCES).glob(f"*/{MAIN_FILE}")))


def _is_missing(file: Path) -> bool:
    try:
        return not file.exists()
    except OSError:  # a directory that may not be looked into; opening the file tells why
        return False


def _over(base: object, own: object) -> object:
    return {**base, **own} if isinstance(base, dict) and isinstance(own, dict) else own
