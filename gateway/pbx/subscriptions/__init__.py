# SPDX-License-Identifier: GPL-2.0-or-later
"""The state of a PBX's extensions by SIP subscriptions (RFC 6665), which many PBXs offer."""

from gateway.pbx.subscriptions.dialog_info_source import DialogInfoSource

__all__ = ["DialogInfoSource"]
