"""A model file of the contract, from its nodes; `graph` and `convert.py` both end here."""

import onnx
from onnx import TensorProto, helper

from . import contract

INPUTS = ("pitch", "loudness", "state")
OUTPUTS = ("amplitude", "harmonic_distribution", "noise_magnitudes", "next_state")


def finish(nodes, constants, shapes, metadata):
    """A model of the contract from its nodes; `shapes` gives each input's and output's length by name."""
    def ends(names):
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, [shapes[n]]) for n in names]

    graph = helper.make_graph(nodes, "instrument", ends(INPUTS), ends(OUTPUTS), initializer=constants)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", contract.OPSET)], ir_version=contract.IR_VERSION,
        producer_name="grooved",
    )
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def shapes_of(harmonics, bands, state):
    return {
        "pitch": 1, "loudness": 1, "state": state, "amplitude": 1,
        "harmonic_distribution": harmonics, "noise_magnitudes": bands, "next_state": state,
    }
