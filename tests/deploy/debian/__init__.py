# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian package, in a Debian that is booted for it."""
