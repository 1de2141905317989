"""The network as ONNX, one call per hop."""

import math

import numpy as np
from onnx import helper, numpy_helper

from . import contract, net
from .onnxfile import finish, shapes_of


class Builder:
    """Nodes and constants in the order they are asked for."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name, value):
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output


def decoder(shape, weights):
    """A trained `net.Decoder` as a graph: (nodes, constants, width of the state)."""
    b = Builder()
    f32 = np.float32
    low, high = net.scaled_range(shape)
    zero, one = b.constant("zero", f32(0)), b.constant("one", f32(1))
    held = b.node("Clip", ["pitch", b.constant("lowest", f32(low)), b.constant("highest", f32(high))], "pitch_held")
    level = b.node("Clip", ["loudness", zero, one], "loudness_held")
    # Silence puts the memory to rest: the next note begins as the first one did.
    keep = b.node("Clip", [b.node("Mul", [level, b.constant("awake_from", f32([10.0]))], "awake"), zero, one], "keep")
    rested = b.node("Mul", ["state", keep], "rested")

    # Place and level go straight into the first layer, so their columns of weights are applied here as multiples of the
    # held inputs; only the cosines need a product of matrices. Fewer nodes are fewer microseconds in a small model.
    span = high - low
    turns = weights["turns"].astype(np.float64)
    angles = b.node("Add", [
        b.node("Mul", [held, b.constant("turns", (turns / span).astype(f32)[None])], "turned"),
        b.constant("turns_from", (-low * turns / span).astype(f32)[None]),
    ], "angles")
    cosines = b.node("Cos", [angles], "cosines")
    into = weights["enter.weight"].astype(np.float64)
    bias = weights["enter.bias"] + into[:, 0] * (-2 * low / span - 1) + into[:, 1] * -2.5
    by_place = b.node("Mul", [held, b.constant("place_weight", (into[:, 0] * 2 / span).astype(f32)[None])], "by_place")
    by_level = b.node("Mul", [level, b.constant("level_weight", (into[:, 1] * 4).astype(f32)[None])], "by_level")

    def dense(x, weight, bias, output):
        # Gemm over rows, because that is what runtimes make fast.
        return b.node("Gemm", [x, b.constant(f"{output}_weight", weight.astype(f32)),
                               b.constant(f"{output}_bias", bias.astype(f32))], output, transB=1)

    by_cosines = dense(cosines, into[:, 2:], bias, "by_cosines")
    both_ways = b.node("Add", [by_place, by_level], "by_place_and_level")
    entered = b.node("LeakyRelu", [b.node("Add", [by_cosines, both_ways], "entering")], "entered", alpha=net.SLOPE)

    # PyTorch orders the gates r z n, ONNX z r h.
    def gates(matrix):
        r, z, n = np.split(matrix, 3)
        return np.concatenate([z, r, n])[None].astype(f32)

    cube = b.constant("entered_cube", np.array([1, 1, shape.dense], np.int64))
    state_cube = b.constant("state_cube", np.array([1, 1, shape.hidden], np.int64))
    b.nodes.append(helper.make_node(
        "GRU",
        [b.node("Reshape", [entered, cube], "entered_in_time"),
         b.constant("gru_w", gates(weights["gru.weight_ih_l0"])), b.constant("gru_r", gates(weights["gru.weight_hh_l0"])),
         b.constant("gru_b", np.concatenate([gates(weights["gru.bias_ih_l0"]), gates(weights["gru.bias_hh_l0"])], axis=1)),
         "", b.node("Reshape", [rested, state_cube], "state_before")],
        ["", "state_after"], name="gru", hidden_size=shape.hidden, linear_before_reset=1,
    ))
    b.node("Reshape", ["state_after", b.constant("state_flat", np.array([shape.hidden], np.int64))], "next_state")
    row = b.constant("state_row", np.array([1, shape.hidden], np.int64))
    remembered = b.node("Reshape", ["state_after", row], "remembered")
    both = b.node("Concat", [entered, remembered], "both", axis=1)
    left = b.node("LeakyRelu", [dense(both, weights["leave.weight"], weights["leave.bias"], "leaving")], "left", alpha=net.SLOPE)
    logs = b.node("Clip", [dense(left, weights["out.weight"], weights["out.bias"], "logs_free"), b.constant("least", f32(net.LEAST)), b.constant("most", f32(net.MOST))], "logs")

    # gain = 10^(4 (loudness - 1)) - 10^-4, as contract.gain_of_loudness.
    steep = contract.LOUDNESS_SPAN_DB / 20.0 * math.log(10.0)
    rising = b.node("Exp", [b.node("Mul", [b.node("Sub", [level, b.constant("unity", f32([1]))], "under"),
                                           b.constant("steep", f32([steep]))], "exponent")], "rising")
    gain = b.node("Relu", [b.node("Sub", [rising, b.constant("offset", np.exp(f32([-steep])))], "gain_free")], "gain")
    flat = b.node("Reshape", [b.node("Exp", [logs], "relative"), b.constant("controls_flat", np.array([shape.harmonics + shape.bands], np.int64))], "relative_flat")
    b.nodes.append(helper.make_node(
        "Split", [flat, b.constant("parts", np.array([shape.harmonics, shape.bands], np.int64))],
        ["partials", "noise"], name="split", axis=0))
    total = b.node("ReduceSum", ["partials", b.constant("first_axis", np.array([0], np.int64))], "total", keepdims=1)
    b.node("Div", ["partials", total], "harmonic_distribution")
    b.node("Mul", [total, gain], "amplitude")
    b.node("Mul", ["noise", gain], "noise_magnitudes")
    return b.nodes, b.constants


def instrument(shape, weights, metadata):
    nodes, constants = decoder(shape, weights)
    return finish(nodes, constants, shapes_of(shape.harmonics, shape.bands, shape.hidden), metadata)
