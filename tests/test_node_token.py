# SPDX-License-Identifier: GPL-2.0-or-later
"""The token by which a gateway is known to the proxy in front of it."""

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.config.node_token import TOKEN_LENGTH, node_token

SECRET = "sixteen characters and more"


def test_a_token_stays_the_same_from_release_to_release() -> None:
    # openssl mac -digest SHA256 -macopt key:'…' HMAC of "transfer-gateway node", a 0 byte and the name; then base32
    assert node_token(SECRET, "gw-1") == "myxnbw3isgsgvhxo"


@given(st.text(min_size=16), st.text(min_size=1), st.text(min_size=1))
def test_it_is_one_node_s_under_one_secret_and_fits_into_any_tag(secret: str, one: str, other: str) -> None:
    token = node_token(secret, one)
    assert re.fullmatch(f"[a-z2-7]{{{TOKEN_LENGTH}}}", token)
    assert (token == node_token(secret, other)) is (one == other)
    assert token != node_token(f"{secret}.", one)
