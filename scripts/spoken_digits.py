# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the sounds that a caller's number is spelled with, into gateway/config/digits/<language>/.

`python -m scripts.spoken_digits`, by hand, where `espeak-ng` and `sox` are installed; what it makes is committed. Each
is a WAV of 16-bit PCM, one channel, 8000 Hz: a word with so much silence behind it that the next can follow at once,
and `pause`, which comes between groups of digits.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

OUT = Path(__file__).parents[1] / "gateway" / "config" / "digits"
RATE = 8000
WORDS_PER_MINUTE = 150
AFTER_S = 0.12
"""The silence behind a word: with that of the words themselves about two digits a second, as people dictate them."""
PAUSE_S = 0.25
LANGUAGES = {
    "en": ("en-gb", ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "plus")),
    "nl": ("nl", ("nul", "één", "twee", "drie", "vier", "vijf", "zes", "zeven", "acht", "negen", "plus")),
}
NAMES = (*map(str, range(10)), "plus")
QUIET = ("1", "0.005", "0.4%")
"""What counts as silence around a word: below 0.4 % of full scale."""


def _sox(*arguments: str) -> None:
    subprocess.run(["sox", "-D", "-R", *arguments], check=True)


def speak(voice: str, word: str, to: Path) -> None:
    """Have a word spoken into a file."""
    with tempfile.TemporaryDirectory() as directory:
        raw = f"{directory}/raw.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-s", str(WORDS_PER_MINUTE), "-w", raw, word], check=True)
        trimmed = ("silence", *QUIET, "reverse", "silence", *QUIET, "fade", "t", "0.01")
        # Telephones carry nothing below 300 Hz; what is loudest is 6 dB below full scale.
        form = ("rate", str(RATE), "highpass", "200", "norm", "-6")
        back = ("reverse", "fade", "t", "0.005")
        _sox(raw, "-b", "16", "-c", "1", str(to), *trimmed, *back, *form, "pad", "0", str(AFTER_S))


def main() -> int:
    """Make them all anew."""
    for language, (voice, words) in LANGUAGES.items():
        (OUT / language).mkdir(parents=True, exist_ok=True)
        for name, word in zip(NAMES, words, strict=True):
            speak(voice, word, OUT / language / f"{name}.wav")
        _sox("-n", "-r", str(RATE), "-b", "16", "-c", "1", str(OUT / language / "pause.wav"), "trim", "0", str(PAUSE_S))
    return 0


if __name__ == "__main__":
    sys.exit(main())
