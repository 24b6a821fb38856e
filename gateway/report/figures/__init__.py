# SPDX-License-Identifier: GPL-2.0-or-later
"""`transfer-gateway report`: what became of those who asked for a person, in figures, from the history alone."""
