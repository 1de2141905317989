"""Writes tests/fixtures/greedy.onnx: a file that keeps the contract in all but its appetite."""

import sys
from pathlib import Path

import numpy as np
from onnx import helper, numpy_helper

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from trainer import contract  # noqa: E402
from trainer.onnxfile import finish, shapes_of  # noqa: E402

said = contract.metadata(
    instrument="greedy", sample_rate=48000, hop=480, harmonics=1, noise_bands=2, state=1, pitch_range="40 80",
    loudness_range="-50 -10", loudness_map="0:0 1:1", licence="none", provenance="made to be refused", date="2026-11-21", figures="{}")
nodes = [helper.make_node("Concat", ["pitch" if i == 0 else f"x{i - 1}"] * 2, [f"x{i}"], axis=0) for i in range(33)]
nodes += [
    helper.make_node("ReduceMax", ["x32"], ["amplitude"], keepdims=1), helper.make_node("Identity", ["loudness"], ["harmonic_distribution"]),
    helper.make_node("Concat", ["pitch", "loudness"], ["noise_magnitudes"], axis=0), helper.make_node("Identity", ["state"], ["next_state"]),
]
zero = numpy_helper.from_array(np.zeros(1, np.float32), "unused")
model = finish(nodes, [zero], shapes_of(1, 2, 1), said)
(HERE.parent.parent / "tests/fixtures/greedy.onnx").write_bytes(model.SerializeToString())
