"""Times a step of a model under ONNX Runtime on one thread and prints the median in microseconds.

Usage: onnx_step.py MODEL
"""

import statistics
import sys
import time

import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
width = next(i.shape[0] for i in session.get_inputs() if i.name == "state")
state, took = np.zeros(width, np.float32), []
for step in range(4000):
    inputs = {"pitch": np.float32([0.4 + 0.3 * step / 4000]), "loudness": np.float32([0.6]), "state": state}
    begun = time.perf_counter()
    outputs = session.run(["amplitude", "harmonic_distribution", "noise_magnitudes", "next_state"], inputs)
    took.append(time.perf_counter() - begun)
    state = outputs[3]
print(f"{1e6 * statistics.median(took[2000:]):.1f}")
