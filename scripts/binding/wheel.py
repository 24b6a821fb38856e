# SPDX-License-Identifier: GPL-2.0-or-later
"""A wheel around the compiled module: a zip archive with three files of metadata (PEP 427, PEP 376)."""

from __future__ import annotations

import base64
import hashlib
import sys
import sysconfig
import zipfile
from pathlib import Path

from scripts.binding.module import Module

METADATA = """\
Metadata-Version: 2.1
Name: pjsua2
Version: {version}
Summary: PJSIP's pjsua2 for Python, with the settings and helpers of transfer-gateway
License: GPL-2.0-or-later
"""
WHEEL = """\
Wheel-Version: 1.0
Generator: scripts.binding
Root-Is-Purelib: false
Tag: {tag}
"""


def pack(module: Module, version: str, target: Path) -> Path:
    """Write the wheel into the directory `target`; `version` is a full one, as "2.17+gateway.0a1b2c3d"."""
    interpreter = f"cp{sys.version_info.major}{sys.version_info.minor}"
    tag = f"{interpreter}-{interpreter}-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
    info = f"pjsua2-{version}.dist-info"
    contents = {
        module.python.name: module.python.read_bytes(),
        module.shared.name: module.shared.read_bytes(),
        f"{info}/METADATA": METADATA.format(version=version).encode(),
        f"{info}/WHEEL": WHEEL.format(tag=tag).encode(),
    }
    record = [f"{name},sha256={_record_hash(data)},{len(data)}\n" for name, data in contents.items()]
    contents[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"]).encode()
    wheel = target / f"pjsua2-{version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            # A fixed date: the same inputs make the same file.
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if name == module.shared.name else 0o644) << 16
            archive.writestr(entry, data)
    return wheel


def _record_hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
