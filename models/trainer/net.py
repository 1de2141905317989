"""The network, as it is trained. `graph` writes the same arithmetic as ONNX.

    features  pitch within the instrument's range, loudness, and cosines of the pitch (registers and fingerings
              change the tone from one semitone to the next, which a line through the range can't follow)
    dense     leaky ReLU
    GRU       one layer
    dense     leaky ReLU, from both of the above
    controls  logarithms of each partial and noise band against the level that loudness asks for

Anchoring the controls to loudness makes zero loudness exactly silent and leaves the network the tone alone.
"""

import math
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import nn

from . import contract

COSINES = 24
SLOPE = 0.2
# Natural logarithms; a partial can be 17 dB over the level asked for (in an attack), and 120 dB under it.
LEAST, MOST = -14.0, 2.0


@dataclass(frozen=True)
class Shape:
    """What is fixed before training."""

    harmonics: int
    hidden: int
    low: float  # MIDI
    high: float
    bands: int = contract.NOISE_BANDS

    @property
    def dense(self):
        return self.hidden + self.hidden // 2

    @property
    def features(self):
        return 2 + COSINES

    def to_json(self):
        return asdict(self)


def scaled_range(shape):
    """Where the pitch input is held: a tone beyond the range, scaled as the input is."""
    return contract.scale_pitch(shape.low - 1.0), contract.scale_pitch(shape.high + 1.0)


class Decoder(nn.Module):
    def __init__(self, shape, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.shape = shape
        self.enter = nn.Linear(shape.features, shape.dense)
        self.gru = nn.GRU(shape.dense, shape.hidden, batch_first=True)
        self.leave = nn.Linear(shape.dense + shape.hidden, shape.dense)
        self.out = nn.Linear(shape.dense, shape.harmonics + shape.bands)
        with torch.no_grad():
            self.out.weight *= 0.3
            self.out.bias[: shape.harmonics] = torch.linspace(-1.5, -7.0, shape.harmonics)
            self.out.bias[shape.harmonics :] = -4.0
        self.register_buffer("turns", math.pi * torch.arange(1, COSINES + 1, dtype=torch.float32))

    def features(self, pitch, loudness):
        low, high = scaled_range(self.shape)
        place = ((pitch - low) / (high - low)).clamp(0.0, 1.0).unsqueeze(-1)
        level = loudness.clamp(0.0, 1.0).unsqueeze(-1)
        return torch.cat([place * 2.0 - 1.0, level * 4.0 - 2.5, torch.cos(place * self.turns)], dim=-1)

    def forward(self, pitch, loudness, state=None):
        """Scaled pitch and loudness [batch, frames] to logarithms against loudness [batch, frames, harmonics + bands]."""
        entered = nn.functional.leaky_relu(self.enter(self.features(pitch, loudness)), SLOPE)
        remembered, state = self.gru(entered, state)
        left = nn.functional.leaky_relu(self.leave(torch.cat([entered, remembered], dim=-1)), SLOPE)
        return self.out(left).clamp(LEAST, MOST), state

    def controls(self, logs, loudness):
        """Amplitudes and noise magnitudes, linear."""
        level = contract.gain_of_loudness(loudness.clamp(0.0, 1.0)).unsqueeze(-1)
        both = torch.exp(logs) * level
        return both[..., : self.shape.harmonics], both[..., self.shape.harmonics :]


def parameters_of(net):
    return sum(p.numel() for p in net.parameters())


def as_arrays(net):
    """The weights by name, for `graph`."""
    return {name: value.detach().numpy().astype(np.float32) for name, value in net.state_dict().items()}
