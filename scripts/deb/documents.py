# SPDX-License-Identifier: GPL-2.0-or-later
"""What is made of the argument parser: a manual page, and completion for bash and zsh.

`python -m scripts.deb.documents SHARE DOCUMENTS` writes them below SHARE, as `make install` does; the page says that
the documents are in DOCUMENTS.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import shlex
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from gateway import __version__
from gateway.arguments import DEFAULT_DIRECTORY, parser

NAME = "transfer-gateway"
DOCUMENTS = f"/usr/share/doc/{NAME}"
"""Where the package has them."""
_TAIL = f"""\
.SH EXIT STATUS
0: done. 1: failed, or what was asked about is not well. 2: wrong usage.
78: the configuration has mistakes, or cannot be read. 130: ended by Ctrl\\-C.
.SH FILES
.TP
.I {DEFAULT_DIRECTORY}
The configuration: gateway.toml, and sip_profiles with a file for each trunk and PBX.
.TP
.I /var/lib/{NAME}
The events that wait to be sent, and the history.
.TP
.I @DOCUMENTS@
The documents: every key of the configuration, operation, events, what to do when an alert fires.
.SH SEE ALSO
.BR systemctl (1),
.BR journalctl (1)
"""


def write_documents(share: Path, documents: str = DOCUMENTS, zsh_functions: str = "vendor-completions") -> None:
    """Write all of them below `share`, which is to be /usr/share, or linked to from /usr/local/share.

    `zsh_functions` is where zsh looks there. The manual page says that the documents are in `documents`.
    """
    _write(share / f"man/man1/{NAME}.1.gz", gzip.compress(manual(documents).encode(), 9, mtime=0))
    _write(share / f"bash-completion/completions/{NAME}", completion().encode())
    # zsh brings what reads a completion of bash.
    zsh = f"#compdef {NAME}\nautoload -U +X bashcompinit && bashcompinit\n{completion()}"
    _write(share / f"zsh/{zsh_functions}/_{NAME}", zsh.encode())


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command, in their order."""
    every = parser(defaultdict(lambda: None))
    (subparsers,) = (each for each in every._actions if isinstance(each, argparse._SubParsersAction))  # noqa: SLF001 - argparse names them to nobody
    return dict(subparsers.choices)


def manual(documents: str = DOCUMENTS) -> str:
    """The manual page, in the form of man(7)."""
    whole = parser(defaultdict(lambda: None))
    day = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))
    lines = [f'.TH TRANSFER-GATEWAY 1 "{day}" "{NAME} {__version__}" "User Commands"', ".SH NAME"]
    lines += [f"{NAME} \\- SIP gateway between voice assistants and a company's PBX", ".SH SYNOPSIS"]
    lines += [f".B {NAME}", ".I COMMAND", "[\\fIoptions\\fR]", ".SH DESCRIPTION", _text(whole.description or "")]
    lines.append(".SH COMMANDS")
    for name, command in commands().items():
        usage = " ".join(command.format_usage().split()).removeprefix(f"usage: {NAME} {name}").replace("[-h] ", "")
        lines += [f".SS {name}{_text(usage)}", f"{_text(_sentence(command.description or name))}"]
        for action in arguments(command):
            lines += [".TP", f".B {_text(named(action))}", _text(explained(command, action))]
        if command.epilog:
            lines += [".PP", ".nf", *(_text(line) for line in command.epilog.splitlines()), ".fi"]
    return "\n".join(lines) + f"\n{_TAIL.replace('@DOCUMENTS@', documents)}"


def completion() -> str:
    """A function for bash that completes commands, options, and the values that an option may have."""
    known = commands()
    words, values = [], []
    for name, command in known.items():
        options = [option for action in arguments(command) for option in action.option_strings]
        choices = [
            str(choice) for action in arguments(command) if not action.option_strings for choice in action.choices or ()
        ]
        words.append(f"        {name}) words={shlex.quote(' '.join([*options, *choices]))} ;;")
        for action in arguments(command):
            pattern = "|".join(f"'{name} {option}'" for option in action.option_strings)
            if action.choices and pattern:
                values.append(f"        {pattern}) words={shlex.quote(' '.join(map(str, action.choices)))} ;;")
            elif pattern and action.metavar in {"FILE", "DIR"}:
                kind = "-d" if action.metavar == "DIR" else "-f"
                values.append(f'        {pattern}) COMPREPLY=($(compgen {kind} -- "$word")); return ;;')
            elif pattern and action.nargs != 0:
                values.append(f"        {pattern}) return ;;")
    first = shlex.quote(" ".join([*known, "--help", "--version"]))
    return "\n".join([
        "_transfer_gateway() {",
        "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words=",
        "    COMPREPLY=()",
        f"    if ((COMP_CWORD == 1)); then COMPREPLY=($(compgen -W {first} -- \"$word\")); return; fi",
        '    case "$command" in', *words, "    esac",
        '    case "$command $before" in', *values, "    esac",
        '    COMPREPLY=($(compgen -W "$words" -- "$word"))',
        "}",
        f"complete -F _transfer_gateway {NAME}", "",
    ])  # fmt: skip


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def arguments(command: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """What may follow it."""
    return (action for action in command._actions if action.help != argparse.SUPPRESS)  # noqa: SLF001


def named(action: argparse.Action) -> str:
    """An argument as it is written: its options, and what follows them."""
    value = action.metavar or "|".join(map(str, action.choices or ())) or action.dest
    if not action.option_strings:
        return str(value)
    return ", ".join(action.option_strings) + ("" if action.nargs == 0 else f" {value}")


def explained(command: argparse.ArgumentParser, action: argparse.Action) -> str:
    """What an argument is for, with its default."""
    return (action.help or "") % {**vars(action), "prog": command.prog}


def _text(plain: str) -> str:
    """As man(7) has to be told it: no backslash, hyphens that can be copied, no line that begins a request."""
    escaped = plain.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", escaped)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o644)


if __name__ == "__main__":
    write_documents(Path(sys.argv[1]), sys.argv[2], "site-functions")
