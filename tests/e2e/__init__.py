# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole path on real parts: caller, voice assistant, the gateway's own process, a real PBX and people at phones."""
