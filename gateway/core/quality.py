# SPDX-License-Identifier: GPL-2.0-or-later
"""How well a side was heard, as far as packets tell: an estimate of the mean opinion score (MOS).

The E-model of ITU-T G.107 (06/2015) with its default values, in which loss and delay alone vary: R = 93.2 − Id − Ie,eff
and the MOS from that by its Annex B. Ie,eff is that of its formula 7-29 for losses at random, with Ie = 0 and
Bpl = 25.1, which ITU-T G.113 Appendix I gives for G.711 with packet loss concealment. Id is the approximation of R. G.
Cole and J. H. Rosenbluth, "Voice over IP performance monitoring", ACM SIGCOMM CCR 31(2), 2001.

A codec that sounds better or worse than G.711 is not told apart: what is estimated is what the network took away.
"""

R_DEFAULT = 93.2
BPL_G711_PLC = 25.1
PACKET_MS = 20.0
"""How much a packet holds, which has to be spoken before it is sent."""


def mos(loss: float, jitter_ms: float, round_trip_ms: float | None) -> float:
    """From 1 to 4.41; `loss` is the part of the packets that did not come, 0 to 1.

    The delay of one way is half the round trip (none where nobody measured it), a packet, and a jitter buffer of twice
    the mean jitter.
    """
    delay_ms = (round_trip_ms or 0.0) / 2 + PACKET_MS + 2 * jitter_ms
    by_delay = 0.024 * delay_ms + 0.11 * max(0.0, delay_ms - 177.3)
    percent = 100 * min(max(loss, 0.0), 1.0)
    by_loss = 95 * percent / (percent + BPL_G711_PLC)
    rating = min(max(R_DEFAULT - by_delay - by_loss, 0.0), 100.0)
    score = 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6
    return round(max(1.0, score), 2)  # the polynomial falls below 1 for small R
