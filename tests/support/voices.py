"""A made-up voice with all that a recording has and a resampler must not let through."""

import numpy as np


def voice(rate, seconds, channels=1):
    """Words and pauses, `(samples, channels)`: a gliding pitch and hisses, up to half the rate."""
    random = np.random.default_rng(0)
    time = np.arange(round(seconds * rate)) / rate
    part = time % 0.7
    word = np.clip(1.2 - 3 * np.abs(part / 0.7 - 0.4), 0, None)
    spoken = []
    for channel in range(channels):
        pitch = 110 + 50 * channel + 40 * (time % 1)
        buzz = 2 * (np.cumsum(pitch) / rate % 1) - 1
        hiss = np.diff(random.standard_normal(len(time) + 1))
        spoken.append(0.25 * word * buzz + (0.04 * (part < 0.1) + 1e-4) * hiss)
    return np.stack(spoken, axis=1)
