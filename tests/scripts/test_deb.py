# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian package: what is made for it of the unit, of the argument parser, and of what its parts say."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from scripts.binding.tools import BuildError
from scripts.deb.documents import commands, completion, manual
from scripts.deb.licences import component_table
from scripts.deb.package import NOTIFY_RELOAD, TEMPLATE, UNIT, adapted, of_an_instance


def test_the_unit_of_the_package_is_that_of_the_tree_with_its_own_paths() -> None:
    original = UNIT.read_text()
    unit, secrets = adapted(original)
    assert "ExecStart=/usr/bin/transfer-gateway run --config /etc/transfer-gateway" in unit
    assert "AssertPathExists=/etc/transfer-gateway/gateway.toml" in unit
    assert "/opt/" not in unit
    kept = [line for line in original.splitlines() if "=" in line and "/opt/" not in line and not line.startswith("#")]
    assert [line for line in kept if line not in unit.splitlines()] == []
    assert "#LoadCredential=ami.secret:/etc/transfer-gateway/sip_profiles/ami.secret" in secrets
    assert "LoadCredential" not in unit


def test_an_instance_has_its_own_configuration_in_all_that_is_made_of_its_unit() -> None:
    unit, _ = adapted(TEMPLATE.read_text())
    own = "/etc/transfer-gateway/instances/%i"
    assert f"AssertPathExists={own}/gateway.toml" in unit
    made = [line for line in (unit + of_an_instance(NOTIFY_RELOAD.read_text())).splitlines() if "--config" in line]
    assert len(made) == 4  # run, check, reload, and the drop-in's reload
    assert all(line.endswith(f" --config {own}") for line in made)


def test_what_lies_beside_the_unit_changes_what_the_unit_has() -> None:
    unit = UNIT.read_text()
    [*_, tells] = [line for line in unit.splitlines() if line.startswith("ExecReload=")]
    lines = NOTIFY_RELOAD.read_text().splitlines()
    at = lines.index("ExecReload=")
    # Emptied, and one command that sends no signal: systemd has done that by then.
    assert lines[at + 1] == tells.replace("--pid $MAINPID", "--pid $MAINPID --sent")
    assert [line for line in lines if "=" in line and line[0] != "#"] == ["Type=notify-reload", *lines[at : at + 2]]


def test_a_unit_that_the_package_does_not_know_is_not_shipped() -> None:
    with pytest.raises(ValueError, match="names another path in /opt"):
        adapted(UNIT.read_text() + "ExecStartPost=/opt/other/program\n")
    with pytest.raises(ValueError, match="no commented LoadCredential"):
        adapted(UNIT.read_text().replace("#LoadCredential", "LoadCredential"))


def test_the_manual_has_every_command_and_option() -> None:
    page = manual().replace("\\-", "-")
    for name, command in commands().items():
        assert f"\n.SS {name}" in page
        assert f"\n  transfer-gateway {name}" in page
        for action in command._actions:
            assert all(option in page for option in action.option_strings)
    assert not [line for line in page.splitlines() if line.startswith("'")]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("che", "check"),
        ("explain --nu", "--number"),
        ("report --format c", "csv"),
        ("schema ev", "event"),
        ("check --number ", ""),
    ],
)
@pytest.mark.slow
def test_the_shell_completes(line: str, wanted: str) -> None:
    words = ["transfer-gateway", *line.split(" ")]
    quoted = shlex.join(words)
    call = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _transfer_gateway"
    script = f'{completion()}\n{call}; printf %s "${{COMPREPLY[*]}}"'
    done = subprocess.run(["bash", "-euc", script], check=True, capture_output=True, text=True)
    assert done.stdout == wanted


def package(site: Path, name: str, *head: str) -> None:
    (site / f"{name}.dist-info").mkdir(parents=True)
    (site / f"{name}.dist-info" / "METADATA").write_text("\n".join([f"Name: {name}", "Version: 1", *head, "", ""]))


def test_each_part_is_told_of_with_its_licence(tmp_path: Path) -> None:
    package(tmp_path, "b", "License: MIT", "Classifier: License :: OSI Approved :: BSD License")
    package(tmp_path, "a", "License-Expression: Apache-2.0")
    package(tmp_path, "c", "License: Zlib")
    rows = [line.split(maxsplit=2) for line in component_table(tmp_path).splitlines()]
    assert rows == [["a", "1", "Apache-2.0"], ["b", "1", "BSD License"], ["c", "1", "Zlib"]]


def test_what_does_not_name_its_licence_is_not_built_in(tmp_path: Path) -> None:
    package(tmp_path, "nameless")
    with pytest.raises(BuildError, match="nameless"):
        component_table(tmp_path)
