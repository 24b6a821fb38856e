# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the Debian package: `python -m scripts.deb`, which is what `make deb` runs.

    system.py     a clean root of the release, made by mmdebstrap and kept in the cache; what runs in it
    tree.py       the private tree: the release's own Python, the locked packages, the gateway, the binding
    documents.py  what is made of the argument parser: manual pages, completion for the shells
    package.py    the package's files and its control data, and the .deb
    licences.py   the copyright file, from what the packages say of themselves

Compilers are in that root alone, and the network is asked by apt and pip as this machine has them set up. Scripts that
dpkg runs on the target, and what is written by hand of the package, are in deploy/debian.
"""
