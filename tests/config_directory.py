# SPDX-License-Identifier: GPL-2.0-or-later
"""Configurations for tests: a small one that is right, and ways to make it wrong."""

from pathlib import Path

from tests.support import tones
from tests.support.configuration import write_files

MAIN = """\
[gateway]
instance = "test-1"
state_dir = "/tmp/transfer-gateway-test"
default_country = "NL"

[sip]
bind_address = "127.0.0.2"
udp_port = 5060
max_calls = 10

[http]
port = 0

[hours.office]
time_zone = "Europe/Amsterdam"
holidays = "NL"
closed = ["2026-12-24"]
weekly = { mon = ["09:00-17:30"], fri = ["22:00-02:00", "09:00-12:00"], sun = ["20:00-24:00"] }

[[numbers]]
id = "main-line"
number = "+31201234567"
trunk = "platform"
pbx = "asterisk"
answer = "support"
fallback = "voicemail"

[[numbers.destinations]]
id = "sales"
number = "+31612345678"
aliases = ["2001", "sip:sales@example.com"]
description = "Prices"
message = "One moment."
extension = "6500"
queue = "sales"
hours = "office"
max_wait_s = 90.5
overflow = ["support", "voicemail"]

[[numbers.destinations]]
id = "support"
number = "+31612345679"
extension = "6501"
overflow = ["voicemail"]

[[numbers.destinations]]
id = "voicemail"
extension = "190"
"""

ASKING = MAIN.replace('extension = "650', 'whisper = "whisper.wav"\naccept = "1"\ndecline = "2"\nextension = "650')
"""Who answers in sales or support hears a file that `write_whisper` writes, and takes the call by a key."""
TALKING = ASKING.replace('extension = "650', 'while_waiting = "assistant"\nextension = "650').replace(
    'accept = "1"\ndecline = "2"\n', "", 1
)
"""… and the caller goes on talking with the assistant until then; in sales nobody is asked for a key."""
HOLDING = TALKING.replace('whisper = "whisper.wav"\n', "", 1).replace(
    'queue = "sales"',
    'queue = "sales"\nhold_place_s = 60\nring_timeout_s = 600\nmin_available = 0\nmax_concurrent = 1',
    1,
)
"""… and sales keep the caller's place in the queue, and whisper nothing."""

CALLING_BACK = ASKING.replace('extension = "650', 'callback_prefixes = ["+3120"]\nextension = "650')
"""… and callers from Amsterdam may be called back by either."""

TRUNK = """\
kind = "trunk"
addresses = ["203.0.113.10", "198.51.100.0/24", "127.0.0.0/8"]
outbound = "sip:203.0.113.10:5060"
"""

PRIVATE_TRUNK = """\
kind = "trunk"
addresses = ["10.1.0.0/16"]
outbound = "sip:10.1.2.3:5060"
"""
"""One whose addresses are none of the documentation's."""

PBX = """\
kind = "pbx"
address = "sip:127.0.0.1:5070"

[queues]
source = "ami"
username = "transfer-gateway"
password_file = "ami.secret"
"""


def write_whisper(directory: Path) -> None:
    """Write the sound that ASKING names."""
    tones.write_wav(directory / "whisper.wav", tones.tone(440, 1))


def write(
    directory: Path, main: str = MAIN, profiles: dict[str, str] | None = None, secrets: dict[str, str] | None = None
) -> Path:
    """Write a configuration into `directory`; profiles and secrets are those of the right one where not given."""
    if profiles is None:
        profiles = {"platform": TRUNK, "asterisk": PBX}
    if secrets is None:
        secrets = {"sip_profiles/ami.secret": "s3cret\n"}
    texts = {f"sip_profiles/{name}.toml": text for name, text in profiles.items()}
    write_files(directory, {"gateway.toml": main, **texts, **secrets})
    return directory
