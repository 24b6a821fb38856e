# SPDX-License-Identifier: GPL-2.0-or-later
"""`init`: from what a PBX has, and what only a person knows, to the files of a gateway that runs."""
