# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `transfer-gateway`; the only package that prints.

What a command needs is imported when it runs, so that checking a configuration takes no SIP stack and no time.
"""

import argparse
import signal
import sys
from collections.abc import Sequence

from gateway.arguments import parser
from gateway.cli import configured, reports, running, setting_up
from gateway.cli import status as page
from gateway.cli import why as one
from gateway.cli.terminal import CONFIGURATION, FAILED, USAGE, UsageError, complain
from gateway.remote import RemoteError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 usage, 78 configuration."""
    options = parser(_COMMANDS).parse_args(arguments)
    try:
        return int(options.command(options))
    except UsageError as error:
        complain(str(error))
        return USAGE
    except RemoteError as error:
        complain(str(error))
        return FAILED
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stdout = None
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    except Exception as error:
        from gateway.config import ConfigError  # noqa: PLC0415 - the module's docstring says why

        if not isinstance(error, ConfigError):
            raise
        complain(str(error))
        return CONFIGURATION


def _run(options: argparse.Namespace) -> int:
    # Until the gateway can reload there is nothing to reload, and nothing to end for.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from gateway.memory import lasting  # noqa: PLC0415 - the module's docstring says why

    with lasting():
        from gateway.app import main as serve  # noqa: PLC0415 - brings the SIP stack

    return serve(options.config)


_COMMANDS = {
    "init": setting_up.init,
    "run": _run,
    "check": configured.check,
    "explain": configured.explain_target,
    "probe": configured.probe_destinations,
    "tool": configured.print_tool,
    "schema": configured.print_schema,
    "status": page.status,
    "why": one.why,
    "reload": running.reload,
    "report": reports.report_outcomes,
    "transfer": running.transfer,
    "cancel": running.cancel,
    "hangup": running.hang_up,
    "forget": running.forget,
}
