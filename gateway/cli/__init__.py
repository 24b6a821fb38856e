# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `transfer-gateway`; the only package that prints.

What a command needs is imported when it runs, so that checking a configuration takes no SIP stack and no time.
"""

import argparse
import atexit
import contextlib
import io
import os
import signal
import sys
from collections.abc import Sequence

from gateway.arguments import parse
from gateway.cli import cluster, configured, listing, reports, running, setting_up, watching
from gateway.cli import status as page
from gateway.cli import why as one
from gateway.cli.output import choose_colors
from gateway.cli.terminal import CONFIGURATION, FAILED, INTERRUPTED, RESTARTED, USAGE, UsageError, complain
from gateway.remote import RemoteError, UnreachableError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 usage, 78 configuration, 130 interrupted.

    A gateway that leaves its calls to the next process ends with 75, and does not return.
    """
    _take_every_text()
    try:
        try:
            return _carried_out(arguments)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough
        _write_nowhere()
        return FAILED
    except KeyboardInterrupt:
        with contextlib.suppress(KeyboardInterrupt, OSError):
            print(file=sys.stderr)  # what comes next stands below the ^C
        return INTERRUPTED
    except OSError as error:
        if error.filename is not None:
            raise
        _write_nowhere()
        complain(f"the output cannot be written: {error.strerror or error}")
        return FAILED


def _carried_out(arguments: Sequence[str] | None) -> int:
    options = parse(_COMMANDS, arguments)
    choose_colors(options.color)
    try:
        return int(options.command(options))
    except UsageError as error:
        complain(str(error))
        return USAGE
    except UnreachableError as error:
        complain(f"{error}; does it run? systemctl status transfer-gateway tells")
        return FAILED
    except RemoteError as error:
        complain(str(error))
        return FAILED
    except Exception as error:
        from gateway.config import ConfigError  # noqa: PLC0415 - the module's docstring says why

        if not isinstance(error, ConfigError):
            raise
        complain(str(error))
        return CONFIGURATION


def _take_every_text() -> None:
    """A terminal that has no such letter shows its code; without this the command would fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _write_nowhere() -> None:
    """Let the interpreter's own last flush go well."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _run(options: argparse.Namespace) -> int:
    # Until the gateway can reload there is nothing to reload, and nothing to end for.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from gateway.memory import lasting  # noqa: PLC0415 - the module's docstring says why

    with lasting():
        from gateway.app import main as serve  # noqa: PLC0415 - brings the SIP stack

    code = serve(options.config)
    if code == RESTARTED:
        # Its calls go on in the next process: the interpreter's own end would hang them up.
        atexit._run_exitfuncs()  # noqa: SLF001 -- the log's last lines, for one
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


_COMMANDS = {
    "init": setting_up.init,
    "run": _run,
    "check": configured.check,
    "explain": configured.explain_target,
    "probe": configured.probe_destinations,
    "tool": configured.print_tool,
    "schema": configured.print_schema,
    "cluster-tokens": cluster.print_tokens,
    "status": page.status,
    "watch": watching.watch,
    "calls": listing.calls,
    "transfers": listing.transfers,
    "queues": listing.queues,
    "why": one.why,
    "reload": running.reload,
    "restart": running.restart,
    "report": reports.report_outcomes,
    "transfer": running.transfer,
    "callback": running.call_back,
    "cancel": running.cancel,
    "hangup": running.hang_up,
    "forget": running.forget,
}
