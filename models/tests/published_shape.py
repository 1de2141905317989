"""Writes a TensorFlow Lite model of the shape in which DDSP-VST's models are published, with random weights.

Usage: python published_shape.py OUT.tflite [SEED]

The shape is that of magenta/ddsp's models/vst: two stacks of dense, layer norm and leaky ReLU, a GRU of 512, one stack
after it, and the scalings inside of the graph; 60 harmonics, 65 noise bands, 16 kHz, a step every 20 ms.
"""

import sys
import tempfile

import numpy as np
import tensorflow as tf

HARMONICS, BANDS, WIDTH, CHANNELS, RATE = 60, 65, 512, 256, 16_000


def scale(x):
    return 2.0 * tf.nn.sigmoid(x) ** np.log(10.0) + 1e-7


class Stack(tf.Module):
    def __init__(self, channels):
        self.dense = tf.keras.layers.Dense(channels)
        self.norm = tf.keras.layers.LayerNormalization()

    def __call__(self, x):
        return tf.nn.leaky_relu(self.norm(self.dense(x)), 0.2)


class Published(tf.Module):
    def __init__(self):
        self.pitch, self.power, self.out = Stack(CHANNELS), Stack(CHANNELS), Stack(CHANNELS)
        self.gru = tf.keras.layers.GRU(WIDTH, return_sequences=True, return_state=True)
        self.project = tf.keras.layers.Dense(1 + HARMONICS + BANDS)

    def variables_of_layers(self):
        stacks = [layer for stack in (self.pitch, self.power, self.out) for layer in (stack.dense, stack.norm)]
        return [variable for layer in [*stacks, self.gru, self.project] for variable in layer.variables]

    @tf.function(input_signature=[
        tf.TensorSpec([1], name="f0_scaled"), tf.TensorSpec([1], name="pw_scaled"), tf.TensorSpec([WIDTH], name="state"),
    ])
    def call(self, f0_scaled, pw_scaled, state):
        pitch = self.pitch(tf.reshape(f0_scaled, [1, 1, 1]))
        power = self.power(tf.reshape(pw_scaled, [1, 1, 1]))
        x = tf.concat([power, pitch], -1)
        remembered, after = self.gru(x, initial_state=tf.reshape(state, [1, WIDTH]))
        x = self.project(self.out(tf.concat([power, pitch, remembered], -1)))
        amplitude, distribution, noise = tf.split(x, [1, HARMONICS, BANDS], -1)
        hz = 440.0 * 2.0 ** ((127.0 * tf.reshape(f0_scaled, [1, 1, 1]) - 69.0) / 12.0)
        partials = hz * tf.range(1.0, HARMONICS + 1.0)
        distribution = tf.where(partials >= RATE / 2.0, tf.zeros_like(partials), scale(distribution))
        distribution /= tf.reduce_sum(distribution, axis=-1, keepdims=True) + 1e-7
        return (
            tf.reshape(scale(amplitude), [1]), tf.reshape(distribution, [HARMONICS]),
            tf.reshape(scale(noise - 5.0), [BANDS]), tf.reshape(after, [WIDTH]),
        )


def main():
    out, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    tf.keras.utils.set_random_seed(seed)
    model = Published()
    concrete = model.call.get_concrete_function()
    # Keras keeps its variables to itself; what a tf.Module does not know is left out of the file.
    model.known = [variable.value for variable in model.variables_of_layers()]
    random = np.random.default_rng(seed)
    for variable in model.known:
        variable.assign(variable + random.normal(0.0, 0.05, variable.shape))
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(model, folder, signatures={"call": concrete})
        converted = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["call"]).convert()
    with open(out, "wb") as file:
        file.write(converted)


main()
