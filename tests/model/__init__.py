# SPDX-License-Identifier: GPL-2.0-or-later
"""Every order in which little can happen: the engine's calls explored by program, as far as a stated depth.

`make model` goes further than the tests do. What is explored is the engine itself with its machines (tests.bench), in a
world of its own: two callers, their assistants, a target for each transfer, and whoever gives commands.
"""
