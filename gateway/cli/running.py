# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands to a running gateway: what it does, and what it is to do with a call, a transfer or a caller's traces."""

import argparse
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gateway.cli.output import ASIDE, DOUBTFUL, print_json, print_table, say
from gateway.cli.terminal import DONE, FAILED, UsageError, complain, load_config
from gateway.remote import RELOAD_S, RefusedError, RemoteError, ask, reload_by_another, reload_by_signal, restarted

if TYPE_CHECKING:
    from gateway.config import Config

FORGET_S = 310.0  # longer than the gateway itself waits for its disk


def reload(options: argparse.Namespace) -> int:
    """Have the running gateway take the configuration, and tell what it has taken."""
    if options.sent and options.pid is None:
        raise UsageError("--sent is about a process that was sent a signal: name it by --pid")
    config = load_config(options)
    if options.pid is None:
        try:
            answer = ask(config.http, "/api/reload", {}, within_s=RELOAD_S)
        except RefusedError as error:
            if error.code != "bad-configuration":
                raise
            return _reload_refused(error.answer.get("mistakes", []), as_json=options.json)
    else:
        wait = reload_by_another if options.sent else reload_by_signal
        status = wait(config.http, config.gateway.instance, options.pid)
        if status is None:
            complain("told it to reload; what came of it is in its log, as its HTTP API tells nothing here")
            return DONE
        told = status["configuration"]
        if told.get("refused_at"):
            return _reload_refused(told["mistakes"], as_json=options.json)
        answer = {"reloaded": True, "applied": told["applied"], "restart_needed": status["restart_needed"]}
    if options.json:
        print_json(answer)
        return DONE
    for key in answer["applied"]:
        say(f"applied: {key}")
    for key in answer["restart_needed"]:
        say(f"restart needed: {key}", DOUBTFUL)
    if not answer["applied"]:
        say("nothing else has changed" if answer["restart_needed"] else "nothing has changed", ASIDE)
    return DONE


def _reload_refused(mistakes: Sequence[str], *, as_json: bool) -> int:
    if as_json:
        print_json({"reloaded": False, "mistakes": list(mistakes)})
    for mistake in mistakes:
        complain(f"refused: {mistake}")
    complain("the configuration before it stays in force")
    return FAILED


def restart(options: argparse.Namespace) -> int:
    """Have the running gateway end and leave its calls to the next one, and wait until that one is there."""
    config = load_config(options)
    try:
        begun = ask(config.http, "/api/restart", {}, within_s=RELOAD_S)
    except RefusedError as error:
        for mistake in error.answer.get("mistakes", []):
            complain(f"refused: {mistake}")
        raise
    if options.no_wait:
        if options.json:
            print_json(begun)
        return DONE
    if not options.json:
        say(f"{begun['calls']} calls, {begun['transfers']} transfers: waiting up to {begun['within_s']:.0f} s", ASIDE)
    status = restarted(config.http, begun)
    if options.json:
        print_json({"restarted": True, **{key: status[key] for key in ("version", "started_at", "calls")}})
    else:
        say(f"restarted: version {status['version']}, {status['calls']} calls")
    return DONE


def transfer(options: argparse.Namespace) -> int:
    """Have a call put through to a destination."""
    body = {"type": "transfer", "destination": options.destination}
    if options.message is not None:
        body["message"] = options.message
    done = _print_decided(options, f"/api/calls/{urllib.parse.quote(options.call, safe='')}/transfer", body)
    if options.message:
        complain("nobody hears the message: give the destination an announcement, or have the platform say it before")
    return done


def call_back(options: argparse.Namespace) -> int:
    """Have a caller called back."""
    named = "caller" if options.who.startswith("+") else "call"  # a transfer is known by its id as a call is
    body = {"type": "callback", named: options.who, "destination": options.destination}
    return _print_decided(options, "/api/callbacks", body)


def _print_decided(options: argparse.Namespace, path: str, body: Mapping[str, str]) -> int:
    try:
        answer = ask(load_config(options).http, path, body)
    except RefusedError as error:
        if error.code != "refused":
            raise
        print_json(error.answer.get("transfer"))
        raise
    print_json(answer.get("transfer"))
    return DONE


def cancel(options: argparse.Namespace) -> int:
    """Have a transfer called off."""
    which = urllib.parse.quote(options.transfer, safe="")
    answer = ask(load_config(options).http, f"/api/transfers/{which}/cancel", {"type": "cancel"})
    print_json(answer.get("transfer"))
    return DONE


def hang_up(options: argparse.Namespace) -> int:
    """Have a call ended."""
    which = urllib.parse.quote(options.call, safe="")
    answer = ask(load_config(options).http, f"/api/calls/{which}/hangup", {"type": "hangup"})
    print_json(answer.get("call"))
    return DONE


def forget(options: argparse.Namespace) -> int:
    """Have what is stored of a caller erased, by the gateway, or on its files where none runs."""
    config = load_config(options)
    answer: Mapping[str, Any]
    try:
        answer = ask(config.http, "/api/forget", {"caller": options.caller}, within_s=FORGET_S)
    except RefusedError:
        raise
    except RemoteError as error:
        answer = _forget_offline(config, options.caller, error)
    if options.json:
        print_json(answer)
    else:
        print_table(answer["erased"])
        for kind, count in answer["under_way"].items():
            if count:
                complain(f"{count} {kind} of theirs under way: ask again when they are over")
        for what in answer["not_reached"]:
            complain(f"not reached: {what}")
    return DONE


def _forget_offline(config: "Config", text: str, why: RemoteError) -> Mapping[str, Any]:
    """On the files themselves, which a gateway that runs holds locked."""
    import sqlite3  # noqa: PLC0415

    from gateway.core.numbers import caller_named  # noqa: PLC0415
    from gateway.core.system_error import in_words  # noqa: PLC0415
    from gateway.report.erasing import forget_offline, forgotten_document, left_aside  # noqa: PLC0415
    from gateway.report.store_file import StoreError  # noqa: PLC0415

    directory = config.gateway.state_dir
    try:
        caller = caller_named(text, config.gateway.default_country)
        erased = forget_offline(directory, caller)
    except ValueError as error:
        raise UsageError(f"{text}: {error}") from None
    except (StoreError, sqlite3.Error, OSError) as error:
        raise RemoteError(f"{why}, and its files cannot be used: {in_words(error)}") from None
    return forgotten_document(erased, left_aside(directory), {})
