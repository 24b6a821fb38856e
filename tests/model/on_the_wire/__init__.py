# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways through the model, played against the gateway by scripted peers: what the model says is what the wire shows.

`script` takes a way through the model and writes down what every far end must be told at each move, `choosing` says
which ways are played, `stage` has the peers, and `playing` plays.
"""
