# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the source that tells the state of a PBX, as its profile says; what each can tell: core/state_sources.py."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

from gateway.core.state_sources import StateSource
from gateway.pbx.asterisk import AmiSource
from gateway.pbx.subscriptions import DialogInfoSource

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.ports import Clock, ExtensionWatcher, FollowedPbx, PbxListener


def source_of(
    config: Config, name: str, listener: PbxListener, clock: Clock, watcher: ExtensionWatcher | None = None
) -> FollowedPbx | None:
    """The source of the PBX `name`, yet to be run; None: it has none, or one that takes the `watcher` of a gateway."""
    settings = config.pbxs[name].queues
    queues, extensions = config.watched(name)
    max_age = timedelta(seconds=settings.max_age_s)
    match settings.source:
        case StateSource.NONE:
            return None
        case StateSource.AMI:
            return AmiSource(
                pbx=name,
                host=settings.host,
                port=settings.port,
                username=settings.username,
                secret=settings.password.get_secret_value() if settings.password else "",
                queues=queues,
                extensions=extensions,
                listener=listener,
                max_age=max_age,
                extension_context=settings.extension_context or None,
                outside_lines=settings.outside_lines,
                clock=clock,
            )
        case StateSource.DIALOG_INFO:
            if watcher is None:
                return None
            return DialogInfoSource(
                pbx=name,
                queues=queues,
                extensions=extensions,
                watcher=watcher,
                listener=listener,
                max_age=max_age,
                clock=clock,
            )
        case unknown:
            assert_never(unknown)


def needs_new_source(before: Config, now: Config, name: str) -> bool:
    """Whether a reload has changed how the state of a PBX is had."""
    old, new = before.pbxs[name], now.pbxs[name]
    return old != new if new.queues.source.traits.over_sip else old.queues != new.queues
