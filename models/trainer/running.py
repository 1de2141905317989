"""A model file at work, under ONNX Runtime: the file that is shipped, not the network that was trained."""

import numpy as np
import onnxruntime

from . import contract


class Running:
    def __init__(self, model):
        """`model`: a path, or the bytes of a file."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.width = next(i.shape[0] for i in self.session.get_inputs() if i.name == "state")
        self.state = np.zeros(self.width, np.float32)

    def reset(self):
        self.state[:] = 0

    def step(self, pitch, loudness):
        """(amplitude, distribution, noise) for a scaled pitch and loudness."""
        amplitude, distribution, noise, self.state = self.session.run(
            ["amplitude", "harmonic_distribution", "noise_magnitudes", "next_state"],
            {"pitch": np.float32([pitch]), "loudness": np.float32([loudness]), "state": self.state},
        )
        return float(amplitude[0]), distribution, noise

    def controls(self, midi, loudness):
        """(amplitudes, noise magnitudes) for MIDI numbers and scaled loudness per frame, from rest."""
        self.reset()
        steps = [self.step(contract.scale_pitch(float(m)), float(l)) for m, l in zip(midi, loudness)]
        return np.stack([a * d for a, d, _ in steps]), np.stack([n for _, _, n in steps])
