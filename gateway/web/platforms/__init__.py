# SPDX-License-Identifier: GPL-2.0-or-later
"""What voice platforms ask and tell over HTTP, on a listener of their own."""
