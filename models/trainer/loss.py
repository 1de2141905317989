"""How far apart two sounds are, on several scales of time and frequency.

The multi-scale spectral loss of Engel et al. 2020 (DDSP), at 48 kHz. For figures only its logarithmic half is used:
the mean distance in dB, where what lies 80 dB under the loudest bin of the original counts as silence.
"""

import torch

SCALES = (4096, 2048, 1024, 512, 256, 128)
DEPTH_DB = 80.0


def magnitudes(sound, size):
    window = torch.hann_window(size, device=sound.device)
    spectrum = torch.stft(sound, size, size // 4, window=window, return_complex=True, pad_mode="constant")
    return torch.sqrt(spectrum.real**2 + spectrum.imag**2 + 1e-14) * (2.0 / window.sum())


def loss(made, wanted, scales=SCALES):
    """What training makes small: linear and logarithmic distance, [batch, samples] each."""
    total = 0.0
    for size in scales:
        a, b = magnitudes(made, size), magnitudes(wanted, size)
        # Quiet sounds shall be learnt as well as loud ones.
        loudest = b.amax(dim=(1, 2), keepdim=True).clamp_min(1e-4)
        floor = loudest * 10.0 ** (-DEPTH_DB / 20.0)
        logs = (torch.log(a + floor) - torch.log(b + floor)).abs().mean()
        total = total + logs + 20.0 * ((a - b).abs() / loudest).mean()
    return total / len(scales)


def distance_db(made, wanted, scales=SCALES, part=slice(None)):
    """Mean distance of log magnitudes in dB, over the seconds of `part` (a slice of samples) of two mono sounds."""
    made, wanted = (torch.as_tensor(s, dtype=torch.float32)[None] for s in (made, wanted))
    distances = []
    for size in scales:
        a, b = magnitudes(made, size)[0], magnitudes(wanted, size)[0]
        floor = b.max() * 10.0 ** (-DEPTH_DB / 20.0)
        hop = size // 4
        within = slice((part.start or 0) // hop, None if part.stop is None else part.stop // hop + 1)
        gap = 20.0 * (torch.log10(a.clamp_min(floor)) - torch.log10(b.clamp_min(floor))).abs()
        distances.append(float(gap[:, within].mean()))
    return sum(distances) / len(distances)
