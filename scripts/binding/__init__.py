# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the pjsua2 wheel out of pjproject's source and the files of gateway/sip/binding.

`python -m scripts.binding` prints the wheel's path on stdout and what it is doing on stderr. Standard library only.
Each stage is kept under the hash of everything that goes into it, so a change costs only what depends on it:

    source    pjproject's tarball                                          fetched once
    libs      its static libraries and headers, with our config_site.h     about 80 s
    wrapper   what SWIG makes of pjsua2_gateway.i, compiled                about 60 s
    object    one of our own *.cpp                                         seconds
    wheel     all of it linked and packed                                  seconds
"""
