# SPDX-License-Identifier: GPL-2.0-or-later
"""Which source tells the state of a PBX, as its profile says."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

from gateway.pbx.asterisk.ami_source import AmiSource
from gateway.pbx.subscriptions.dialog_info_source import DialogInfoSource

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.ports import ExtensionWatcher, FollowedPbx, PbxListener


def ami_source(config: Config, name: str, listener: PbxListener) -> AmiSource:
    """The manager interface of the PBX `name`, yet to be run."""
    settings = config.pbxs[name].queues
    queues, extensions = config.watched(name)
    return AmiSource(
        pbx=name,
        host=settings.host,
        port=settings.port,
        username=settings.username,
        secret=settings.password.get_secret_value() if settings.password else "",
        queues=queues,
        extensions=extensions,
        listener=listener,
        max_age=timedelta(seconds=settings.max_age_s),
    )


def source_of(config: Config, name: str, listener: PbxListener, watcher: ExtensionWatcher) -> FollowedPbx | None:
    """The source of the PBX `name`, yet to be run; None: there is none."""
    settings = config.pbxs[name].queues
    match settings.source:
        case "none":
            return None
        case "ami":
            return ami_source(config, name, listener)
        case "dialog-info":
            queues, extensions = config.watched(name)
            max_age = timedelta(seconds=settings.max_age_s)
            return DialogInfoSource(
                pbx=name, queues=queues, extensions=extensions, watcher=watcher, listener=listener, max_age=max_age
            )
        case unknown:
            assert_never(unknown)


def needs_new_source(before: Config, now: Config, name: str) -> bool:
    """Whether a reload has changed how the state of a PBX is had."""
    old, new = before.pbxs[name], now.pbxs[name]
    # Subscriptions travel as calls do: by its address, transport and credentials.
    return old != new if new.queues.source == "dialog-info" else old.queues != new.queues
