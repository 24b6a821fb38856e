# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of gateway.sip: values and digests by themselves, everything else as real SIP to a running gateway."""
