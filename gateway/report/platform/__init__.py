# SPDX-License-Identifier: GPL-2.0-or-later
"""What voice platforms tell of their calls, joined to ours."""
