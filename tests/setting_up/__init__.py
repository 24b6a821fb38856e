# SPDX-License-Identifier: GPL-2.0-or-later
"""From what a PBX has, and answers, to the files of a gateway."""
