# SPDX-License-Identifier: GPL-2.0-or-later
"""What the gateway is made of, as a CycloneDX document: the locked packages, pjproject, and what is linked with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from scripts.binding.known import KNOWN

SPECIFICATION = SchemaVersion.V1_6
NAME = "transfer-gateway"
# What the packages and images that are made here hold.
LOCKS = ("requirements.txt", "requirements-watch.txt")
# Of the system that it is installed on; its own packages say in which version.
LINKED = {"openssl": "Apache-2.0", "opus": "BSD-3-Clause", "libsrtp2": "BSD-3-Clause", "speexdsp": "BSD-3-Clause",
          "libuuid": "BSD-3-Clause"}  # fmt: skip
Table = dict[str, Any]


def bill_of_materials(source: Path, version: str, epoch: int) -> str:
    """The document, in JSON, of the tree `source`, as of this time. The same tree has the same one, to the byte.

    Raises ValueError where it is none that the schema takes, CalledProcessError where cyclonedx-py fails.
    """
    lock = "\n".join((source / name).read_text() for name in LOCKS)
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "-"]
    command += ["--pyproject", str(source / "pyproject.toml"), "--output-reproducible", "--of", "JSON"]
    command += ["--sv", SPECIFICATION.to_version(), "--output-file", "-"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    done = subprocess.run(command, input=lock, check=True, capture_output=True, text=True, env=environment)
    document: Table = json.loads(done.stdout)
    root = document["metadata"]["component"]
    root.update(version=version, purl=f"pkg:pypi/{NAME}@{version}")
    locked: list[Table] = document["components"]
    for one in locked:
        one["bom-ref"] = f"{one['name']}@{one['version']}"
        del one["description"]  # the line of the lock, whose hashes it has already
    components = [*locked, *_compiled()]
    document["components"] = sorted(components, key=lambda one: (one["name"], one.get("version", "")))
    needs = sorted(one["bom-ref"] for one in components)
    document["dependencies"] = [{"ref": root["bom-ref"], "dependsOn": needs}, *({"ref": name} for name in needs)]
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if wrong := JsonStrictValidator(SPECIFICATION).validate_str(text):
        raise ValueError(f"the bill of materials is not as CycloneDX has it: {wrong}")
    return text


def _compiled() -> list[Table]:
    """The source that the binding is compiled of, with its hash, and the libraries that it is linked with."""
    [(digest, version)] = KNOWN.items()
    told: list[Table] = [{
        "bom-ref": f"pjproject@{version}", "type": "library", "name": "pjproject", "version": version,
        "purl": f"pkg:generic/pjproject@{version}?checksum=sha256:{digest}",
        "hashes": [{"alg": "SHA-256", "content": digest}], "licenses": [{"license": {"id": "GPL-2.0-or-later"}}],
        "description": "Compiled into the SIP binding; the hash is that of the source the tests were run with.",
    }]  # fmt: skip
    for name, licence in LINKED.items():
        told.append({
            "bom-ref": name, "type": "library", "name": name, "licenses": [{"license": {"id": licence}}],
            "description": "Linked with at run time, in the version of the system that it is installed on.",
        })  # fmt: skip
    return told
