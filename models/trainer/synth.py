"""Sound from controls, in PyTorch, as `../README.md` defines it and as the daemon's voices make it.

Between frames n and n+1 the logarithm of the pitch and the amplitude of every partial go straight. A partial is
A_k sin(k phase), silent from Nyquist on. Noise is white, uniform between -1 and 1; the part of it that lies around
frame n under a triangle two hops wide goes through a filter of zero phase with the magnitudes of frame n, delayed by
bands - 1 frames to make it causal.
"""

import math

import numpy as np
import torch

from . import contract

HOP = contract.HOP
RATE = contract.SAMPLE_RATE
FFT = 2048


def phases(midi):
    """Phase in turns at every sample, [batch, frames] of MIDI numbers to [batch, (frames - 1) * hop]."""
    left, right = midi[:, :-1, None].double(), midi[:, 1:, None].double()
    share = torch.arange(HOP, dtype=torch.float64, device=midi.device) / HOP
    hz = 440.0 * torch.exp2((left + (right - left) * share - 69.0) / 12.0)
    return torch.cumsum(hz.flatten(1), dim=1) / RATE, hz.flatten(1)


def sines(midi, harmonics):
    """sin(k phase), silent from Nyquist on: [batch, frames - 1, hop, harmonics]. Nothing here is learnt."""
    with torch.no_grad():
        turns, hz = phases(midi)
        k = torch.arange(1, harmonics + 1, dtype=torch.float32, device=midi.device)
        bank = (turns - turns.floor()).float().unsqueeze(-1) * k
        bank.sub_(bank.floor()).mul_(2.0 * math.pi).sin_()
        bank *= hz.float().unsqueeze(-1) * k < RATE / 2
        return bank.view(midi.shape[0], midi.shape[1] - 1, HOP, harmonics)


def partials(amplitudes, bank):
    """The sum of all partials, [batch, (frames - 1) * hop]."""
    share = torch.arange(HOP, dtype=torch.float32, device=amplitudes.device) / HOP
    ends = torch.stack([amplitudes[:, :-1], amplitudes[:, 1:]], dim=-1)
    both = bank @ ends
    return (both[..., 0] * (1.0 - share) + both[..., 1] * share).flatten(1)


def filters(magnitudes):
    """The responses of zero-phase filters, made causal and windowed: [..., 2 * (bands - 1)]."""
    taps = torch.fft.irfft(magnitudes)
    half = magnitudes.shape[-1] - 1
    return torch.roll(taps, half, dims=-1) * torch.hann_window(2 * half, device=magnitudes.device)


def noise(magnitudes, white):
    """White noise [batch, (frames + 1) * hop] through the filters of its frames: [batch, (frames - 1) * hop]."""
    frames = magnitudes.shape[1]
    triangle = 1.0 - (torch.arange(2 * HOP, device=white.device) / HOP - 1.0).abs()
    pieces = white.unfold(1, 2 * HOP, HOP) * triangle
    shaped = torch.fft.irfft(torch.fft.rfft(pieces, FFT) * torch.fft.rfft(filters(magnitudes), FFT), FFT)
    whole = torch.nn.functional.fold(
        shaped.transpose(1, 2), (1, (frames - 1) * HOP + FFT), (1, FFT), stride=(1, HOP)
    ).flatten(1)
    return whole[:, HOP : HOP * frames]


def white_noise(batch, frames, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, (frames + 1) * HOP, generator=generator) * 2.0 - 1.0


def render(midi, amplitudes, magnitudes, seed=0):
    """A note as samples, from arrays of NumPy, [frames …]."""
    with torch.no_grad():
        midi, amplitudes, magnitudes = (torch.as_tensor(np.asarray(a), dtype=torch.float32)[None] for a in (midi, amplitudes, magnitudes))
        tonal = partials(amplitudes, sines(midi, amplitudes.shape[-1]))
        return (tonal + noise(magnitudes, white_noise(1, midi.shape[1], seed)))[0].numpy()
