"""Make `spoken_digits.npz`: the ten English digits spoken by the 101 voice variants of espeak-ng.

Needs the command `espeak-ng` 1.51 (Debian: `apt-get install espeak-ng`); takes a minute.

    python assets/make_spoken_digits.py
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch
from torchaudio.functional import mu_law_encoding, resample

SAMPLE_RATE = 8000
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ACCENTS = (
    "en",
    "en-us",
    "en-gb-scotland",
    "en-gb-x-gbclan",
    "en-gb-x-rp",
    "en-gb-x-gbcwmd",
    "en-029",
)
SILENCE = 0.02  # of the clip's peak: what lies below it at either end is cut off
LONGEST = 0.78  # seconds: a longer clip is spoken again, faster


def voice_variants():
    """Names of the voice variants that this espeak-ng brings, sorted."""
    listing = subprocess.run(
        ["espeak-ng", "--voices=variant"], capture_output=True, text=True, check=True
    ).stdout
    files = [line.split("!v/")[1] for line in listing.splitlines()[1:]]
    return sorted(name.split("(")[0].strip() for name in files)


def speak(word, variant, accent, speed, pitch):
    """One trimmed clip of at most `LONGEST` seconds: float tensor at `SAMPLE_RATE`, peak 0.9."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "word.wav"
        subprocess.run(
            ["espeak-ng", "-v", f"{accent}+{variant}", "-s", str(speed), "-p", str(pitch)]
            + ["-w", str(path), word],
            check=True,
        )
        samples, rate = soundfile.read(path, dtype="float32")
    clip = resample(torch.from_numpy(samples), rate, SAMPLE_RATE)
    loud = torch.nonzero(clip.abs() > SILENCE * clip.abs().max()).flatten()
    clip = clip[loud[0] : loud[-1] + 1]
    if len(clip) > LONGEST * SAMPLE_RATE:
        return speak(word, variant, accent, speed + 20, pitch)
    return 0.9 * clip / clip.abs().max()


def voices(seed=0):
    """`(variant, accent, speed, pitch)` for each voice: the same list on every machine."""
    generator = np.random.default_rng(seed)
    return [
        (variant, ACCENTS[i % len(ACCENTS)])
        + (int(generator.integers(120, 221)), int(generator.integers(20, 81)))
        for i, variant in enumerate(voice_variants())
    ]


def main():
    table, clips = voices(), []
    for variant, accent, speed, pitch in table:
        for word in WORDS:
            clip = speak(word, variant, accent, speed, pitch)
            clips.append(mu_law_encoding(clip, 256).to(torch.uint8).numpy())
    variant, accent, speed, pitch = map(np.array, zip(*table, strict=True))
    np.savez(
        Path(__file__).with_name("spoken_digits.npz"),
        codes=np.concatenate(clips),
        length=np.array([len(clip) for clip in clips], dtype=np.int32),
        digit=np.tile(np.arange(len(WORDS), dtype=np.int8), len(table)),
        voice=np.repeat(np.arange(len(table), dtype=np.int16), len(WORDS)),
        variant=variant,
        accent=accent,
        speed=speed.astype(np.int16),
        pitch=pitch.astype(np.int16),
    )


if __name__ == "__main__":
    main()
