# SPDX-License-Identifier: GPL-2.0-or-later
"""From a plan to all the files that are written, checked as the gateway itself would read them."""

import json
import re
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gateway.config import Config, load
from gateway.core.assistant import transfer_call
from gateway.setting_up import gateway_files, pbx_files
from gateway.setting_up.plan import Plan
from gateway.setting_up.steps import NAME, PBX_FILES, UNIT_ADDITION
from gateway.setting_up.writing import NewFile

_SECRET = re.compile(r"[!-:<-~]{16,200}")  # Asterisk takes what follows a semicolon for a comment


def make_files(plan: Plan, hours: Mapping[str, object], directory: Path) -> dict[str, NewFile]:
    """Every file, by its name within `directory`. Raises ConfigError where the configuration does not hold together.

    Secrets of ours that are there already are kept: the PBX knows them.
    """
    pbx = "freepbx" if plan.kind == "freepbx" else "asterisk"
    ami_secret = _kept(directory / "sip_profiles" / gateway_files.AMI_SECRET)
    passwords = {gateway_files.AMI_SECRET: f"sip_profiles/{gateway_files.AMI_SECRET}"}
    files = {
        "gateway.toml": NewFile(gateway_files.main_file(plan, hours)),
        f"sip_profiles/{plan.trunk}.toml": NewFile(gateway_files.trunk_profile(plan)),
        f"sip_profiles/{pbx}.toml": NewFile(gateway_files.pbx_profile(plan)),
        f"sip_profiles/{gateway_files.AMI_SECRET}": NewFile(f"{ami_secret}\n", secret=True),
    }
    if plan.answers.gateway.http_port:
        files[gateway_files.HTTP_SECRET] = NewFile(f"{_kept(directory / gateway_files.HTTP_SECRET)}\n", secret=True)
        passwords[gateway_files.HTTP_SECRET] = gateway_files.HTTP_SECRET
    if (password := plan.answers.platform.password) is not None:
        name = f"sip_profiles/{plan.trunk}.secret"
        files[name] = NewFile(f"{password.get_secret_value()}\n", secret=True)
        passwords[f"{plan.trunk}.secret"] = name
    texts = {
        "pjsip": pbx_files.pjsip(plan),
        "extensions": pbx_files.extensions(plan),
        "manager": pbx_files.manager(plan, ami_secret),
    }
    for kind, folder in PBX_FILES.items():
        files[f"pbx/{folder}/{NAME}"] = NewFile(texts[kind], secret=kind == "manager")
    files[UNIT_ADDITION] = NewFile(gateway_files.unit_addition(passwords, str(directory.absolute())))
    return files | _tools(_loaded(files))


def _kept(file: Path) -> str:
    """The secret in a file of an earlier time, or a new one."""
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        text = ""
    return text if _SECRET.fullmatch(text) else secrets.token_hex(24)


def _loaded(files: Mapping[str, NewFile]) -> Config:
    with tempfile.TemporaryDirectory() as name:
        for each, file in files.items():
            path = Path(name, each)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text, encoding="utf-8")
        return load(Path(name))


def _tools(config: Config) -> dict[str, NewFile]:
    """What the assistant of each number is given, as `transfer-gateway tool` prints it."""
    made = {number.id: transfer_call(number) for number in config.numbers}
    return {
        f"assistant/{name}.json": NewFile(json.dumps(tool, ensure_ascii=False, indent=2) + "\n")
        for name, tool in made.items()
        if tool["destinations"]
    }
