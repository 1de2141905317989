#!/usr/bin/env python3
"""Converts instruments published for DDSP-VST (.tflite: GRU 512, 60 harmonics, 65 noise bands, 16 kHz, 20 ms).

    python3 models/convert.py Violin.tflite            writes Violin.onnx beside it

The graph is carried over operation by operation. Its inputs and outputs are known by their names
(`call_f0_scaled:0`, `StatefulPartitionedCall:2`), whatever their order. The one loop in it, over time, has a single
round and is unrolled. What comes out is compared with LiteRT over 1000 steps, if ai-edge-litert is installed.

Needs: pip install -r models/requirements-convert.txt
"""

import argparse
import io
import json
import re
import struct
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

WANTED_IN = {"f0_scaled": "pitch", "pw_scaled": "loudness", "state": "state"}
WANTED_OUT = ("amplitude", "harmonic_distribution", "noise_magnitudes", "next_state")
MOST_ROUNDS = 4
RATE, HOP = 16_000, 320


class Unusable(Exception):
    """An error in the model: one line with what is wrong and what is expected."""


def arguments():
    parser = argparse.ArgumentParser(description="A DDSP-VST model (.tflite) becomes an instrument of grooved (.onnx).")
    parser.add_argument("model", type=Path, help="the .tflite file")
    parser.add_argument("--out", type=Path, help="where to [default: beside it, .onnx]")
    parser.add_argument("--name", help="the instrument's name [default: the file's]")
    parser.add_argument("--licence", default="unknown: ask who trained it")
    parser.add_argument("--provenance", default="", help="who trained it, on what")
    return parser.parse_args()


class Value:
    """A tensor on its way: what it is called in the new graph, and a sample of it. Constants are their sample."""

    def __init__(self, sample, name=None):
        self.sample, self.name = sample, name

    @property
    def constant(self):
        return self.name is None


class Carrier:
    """Carries operations over. Every node is tried on samples at once, so that shapes are known and not guessed."""

    def __init__(self, model):
        import tflite

        self.tflite, self.model = tflite, model
        self.kinds = {v: k for k, v in vars(tflite.BuiltinOperator).items() if not k.startswith("_")}
        self.nodes, self.constants, self.count = [], {}, 0

    def named(self, value):
        from onnx import numpy_helper

        if not value.constant:
            return value.name
        key = (value.sample.dtype.str, value.sample.shape, value.sample.tobytes())
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(value.sample, f"constant_{len(self.constants)}")
        return self.constants[key].name

    def emit(self, kind, inputs, outputs=1, **attributes):
        """A node; or, where all of its inputs are constants, what it comes to."""
        from onnx import TensorProto, helper
        from onnx.reference import ReferenceEvaluator

        names = [f"x{i}" for i in range(len(inputs))]
        results = [f"y{i}" for i in range(outputs)]
        single = helper.make_graph(
            [helper.make_node(kind, names, results, **attributes)], "one",
            [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.sample.dtype), v.sample.shape) for n, v in zip(names, inputs)],
            [helper.make_tensor_value_info(r, TensorProto.UNDEFINED, None) for r in results],
        )
        model = helper.make_model(single, opset_imports=[helper.make_opsetid("", 17)])
        samples = ReferenceEvaluator(model).run(None, {n: v.sample for n, v in zip(names, inputs)})
        if all(v.constant for v in inputs):
            made = [Value(s) for s in samples]
        else:
            self.count += 1
            made = [Value(s, f"n{self.count}_{kind.lower()}_{i}") for i, s in enumerate(samples)]
            self.nodes.append(helper.make_node(kind, [self.named(v) for v in inputs], [v.name for v in made], **attributes))
        return made[0] if outputs == 1 else made

    def shaped(self, value, shape):
        import numpy as np

        if tuple(value.sample.shape) == tuple(shape):
            return value
        return self.emit("Reshape", [value, Value(np.array(shape, np.int64))])

    def constant_of(self, graph, index):
        """A tensor that the file holds, as a constant; None if it is computed."""
        import numpy as np

        tensor = graph.Tensors(index)
        data = self.model.Buffers(tensor.Buffer()).DataAsNumpy()
        if isinstance(data, int) or len(data) == 0:
            return None
        types = {v: k for k, v in vars(self.tflite.TensorType).items() if not k.startswith("_")}
        kind = types[tensor.Type()]
        known = {"FLOAT32": np.float32, "FLOAT16": np.float16, "INT32": np.int32, "INT64": np.int64, "BOOL": np.bool_}
        if kind not in known:
            raise Unusable(f"its weights are {kind.lower()}: expected a model that is not quantised (float32)")
        shape = tensor.ShapeAsNumpy() if tensor.ShapeLength() else []
        return Value(np.frombuffer(data.tobytes(), known[kind]).reshape(shape).copy())

    def run(self, graph, inputs):
        """The values of a subgraph's outputs, in their order."""
        values = dict(zip((int(i) for i in graph.InputsAsNumpy()), inputs))

        def value(index):
            index = int(index)
            if index < 0:
                return None
            if index not in values:
                values[index] = self.constant_of(graph, index)
            return values[index]

        for i in range(graph.OperatorsLength()):
            operator = graph.Operators(i)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            kind = self.kinds.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "CUSTOM")
            outputs = [int(o) for o in operator.OutputsAsNumpy()]
            declared = [list(graph.Tensors(o).ShapeAsNumpy()) if graph.Tensors(o).ShapeLength() else [] for o in outputs]
            made = self.carry(kind, operator, [value(j) for j in operator.InputsAsNumpy()], declared)
            values.update(zip(outputs, made))
        return [value(o) for o in graph.OutputsAsNumpy()]

    def options(self, operator, kind):
        options = getattr(self.tflite, kind)()
        table = operator.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        return options

    def activated(self, value, activation):
        if activation == 0:
            return value
        names = {1: "Relu", 4: "Tanh"}
        if activation not in names:
            raise Unusable(f"it uses fused activation {activation}, which this converter does not know")
        return self.emit(names[activation], [value])

    def carry(self, kind, operator, x, declared):
        """One operation, as values of its outputs."""
        import numpy as np

        def integers(value):
            if value is None or not value.constant:
                raise Unusable(f"it computes the shape of {kind.lower()} as it runs, which no instrument needs")
            return Value(np.atleast_1d(value.sample).astype(np.int64))

        plain = {
            "ADD": ("Add", "AddOptions"), "SUB": ("Sub", "SubOptions"), "MUL": ("Mul", "MulOptions"), "DIV": ("Div", "DivOptions"),
            "POW": ("Pow", None), "NEG": ("Neg", None), "LOGISTIC": ("Sigmoid", None), "TANH": ("Tanh", None), "EXP": ("Exp", None),
            "LOG": ("Log", None), "SQRT": ("Sqrt", None), "ABS": ("Abs", None), "RELU": ("Relu", None), "MAXIMUM": ("Max", None),
            "MINIMUM": ("Min", None), "COS": ("Cos", None), "SIN": ("Sin", None), "FLOOR": ("Floor", None), "LESS": ("Less", None),
            "LESS_EQUAL": ("LessOrEqual", None), "GREATER": ("Greater", None), "GREATER_EQUAL": ("GreaterOrEqual", None),
            "EQUAL": ("Equal", None), "LOGICAL_AND": ("And", None), "LOGICAL_OR": ("Or", None), "LOGICAL_NOT": ("Not", None),
            "SELECT": ("Where", None), "SELECT_V2": ("Where", None), "BATCH_MATMUL": ("MatMul", None),
        }
        if kind in plain:
            name, options = plain[kind]
            made = self.emit(name, x)
            return [self.activated(made, self.options(operator, options).FusedActivationFunction()) if options else made]
        if kind == "FULLY_CONNECTED":
            rows = self.shaped(x[0], [-1, x[1].sample.shape[1]]) if x[0].sample.ndim != 2 else x[0]
            made = self.emit("Gemm", [rows, x[1], *([x[2]] if len(x) > 2 and x[2] else [])], transB=1)
            made = self.activated(made, self.options(operator, "FullyConnectedOptions").FusedActivationFunction())
            return [self.shaped(made, declared[0])]
        if kind in ("MEAN", "SUM"):
            keep = int(self.options(operator, "ReducerOptions").KeepDims())
            axes = integers(x[1])
            if kind == "SUM":
                return [self.emit("ReduceSum", [x[0], axes], keepdims=keep)]
            return [self.emit("ReduceMean", [x[0]], axes=axes.sample.tolist(), keepdims=keep)]
        if kind == "RSQRT":
            return [self.emit("Reciprocal", [self.emit("Sqrt", x)])]
        if kind == "SQUARED_DIFFERENCE":
            apart = self.emit("Sub", x)
            return [self.emit("Mul", [apart, apart])]
        if kind == "LEAKY_RELU":
            return [self.emit("LeakyRelu", x, alpha=self.options(operator, "LeakyReluOptions").Alpha())]
        if kind in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"):
            return [self.shaped(x[0], declared[0])]
        if kind == "CONCATENATION":
            parts = [v for v in x if v.sample.size]
            axis = self.options(operator, "ConcatenationOptions").Axis()
            return [parts[0] if len(parts) == 1 else self.emit("Concat", parts, axis=axis)]
        if kind in ("SPLIT", "SPLIT_V"):
            whole, axis = (x[1], x[0]) if kind == "SPLIT" else (x[0], x[2])
            axis = int(integers(axis).sample[0])
            count = len(declared)
            sizes = np.full(count, whole.sample.shape[axis] // count, np.int64) if kind == "SPLIT" else integers(x[1]).sample
            made = self.emit("Split", [whole, Value(sizes)], outputs=count, axis=axis)
            return made if count > 1 else [made]
        if kind == "SLICE":
            begin, size = integers(x[1]).sample, integers(x[2]).sample
            end = np.where(size < 0, x[0].sample.shape, begin + size)
            return [self.emit("Slice", [x[0], Value(begin), Value(end.astype(np.int64))])]
        if kind == "STRIDED_SLICE":
            return [self.strided(operator, x[0], *(integers(v).sample for v in x[1:4]))]
        if kind == "GATHER":
            return [self.emit("Gather", [x[0], Value(x[1].sample.astype(np.int64))] if x[1].constant else x[:2],
                              axis=self.options(operator, "GatherOptions").Axis())]
        if kind == "TRANSPOSE":
            return [self.emit("Transpose", [x[0]], perm=integers(x[1]).sample.tolist())]
        if kind == "DEQUANTIZE":
            return [Value(x[0].sample.astype(np.float32))]
        if kind == "WHILE":
            return self.unrolled(operator, x)
        raise Unusable(f"it uses the operation {kind}, which this converter does not know")

    def strided(self, operator, whole, begin, end, step):
        import numpy as np

        options = self.options(operator, "StridedSliceOptions")
        if options.EllipsisMask() or options.NewAxisMask():
            raise Unusable("it slices with an ellipsis, which this converter does not know")
        axes = np.arange(len(begin))
        begin = np.where((options.BeginMask() >> axes) & 1, 0, begin)
        end = np.where((options.EndMask() >> axes) & 1, np.array(whole.sample.shape)[: len(end)], end)
        made = self.emit("Slice", [whole, *(Value(np.int64(v)) for v in (begin, end)), Value(np.int64(axes)), Value(np.int64(step))])
        gone = [a for a in axes if (options.ShrinkAxisMask() >> a) & 1]
        return self.shaped(made, [n for a, n in enumerate(made.sample.shape) if a not in gone]) if gone else made

    def unrolled(self, operator, values):
        """A loop whose number of rounds is known beforehand, without the loop."""
        options = self.options(operator, "WhileOptions")
        condition, body = (self.model.Subgraphs(i) for i in (options.CondSubgraphIndex(), options.BodySubgraphIndex()))
        for _ in range(MOST_ROUNDS):
            goes_on = self.run(condition, values)[0]
            if not goes_on.constant:
                raise Unusable("its loop runs for as long as the sound says, which no instrument needs")
            if not bool(goes_on.sample):
                return values
            values = self.run(body, values)
        raise Unusable(f"its loop has more than {MOST_ROUNDS} rounds: expected a model that makes one step per call")


def ends(graph):
    """Indices of the inputs and outputs by their names in the contract."""
    def name(index):
        return graph.Tensors(int(index)).Name().decode()

    found = {}
    for at, index in enumerate(graph.InputsAsNumpy()):
        key = re.sub(r"^(call|serving_default)_", "", name(index).split(":")[0])
        if key in WANTED_IN:
            found[WANTED_IN[key]] = at
    for at, index in enumerate(graph.OutputsAsNumpy()):
        match = re.search(r"PartitionedCall(?:_\d+)?:(\d)$", name(index))
        if match and int(match[1]) < len(WANTED_OUT):
            found[WANTED_OUT[int(match[1])]] = at
    missing = [w for w in (*WANTED_IN.values(), *WANTED_OUT) if w not in found]
    if missing:
        names = [name(i) for i in (*graph.InputsAsNumpy(), *graph.OutputsAsNumpy())]
        raise Unusable(f"it has no {missing[0]}: its tensors are {', '.join(names)}; expected those of a DDSP-VST "
                       "instrument (call_f0_scaled, call_pw_scaled, call_state)")
    return found


def convert(content, metadata_of):
    """The bytes of a .tflite as an ONNX model of the contract."""
    import numpy as np
    import tflite
    from onnx import helper

    from trainer.onnxfile import finish, shapes_of

    if content[4:8] != b"TFL3":
        raise Unusable("it is no TensorFlow Lite model")
    try:
        model = tflite.Model.GetRootAsModel(content, 0)
        graph = model.Subgraphs(0)
        places = ends(graph)
        width = int(np.prod(graph.Tensors(int(graph.InputsAsNumpy()[places["state"]])).ShapeAsNumpy()))
        carrier = Carrier(model)
        random = np.random.default_rng(0)
        inputs = [None] * len(graph.InputsAsNumpy())
        for name, place in places.items():
            if name in WANTED_IN.values():
                tensor = graph.Tensors(int(graph.InputsAsNumpy()[place]))
                shape = tensor.ShapeAsNumpy() if tensor.ShapeLength() else []
                flat = Value(random.uniform(0.3, 0.7, width if name == "state" else 1).astype(np.float32), name)
                inputs[place] = carrier.shaped(flat, list(shape))
        outputs = carrier.run(graph, inputs)
    except (IndexError, struct.error, ValueError, KeyError) as why:
        raise Unusable(f"it is damaged or of another kind ({type(why).__name__})") from why
    sizes = {}
    for name in WANTED_OUT:
        flat = carrier.shaped(outputs[places[name]], [outputs[places[name]].sample.size])
        sizes[name] = flat.sample.size
        carrier.nodes.append(helper.make_node("Identity", [carrier.named(flat)], [name]))
    shapes = shapes_of(sizes["harmonic_distribution"], sizes["noise_magnitudes"], width)
    if sizes["amplitude"] != 1 or sizes["next_state"] != width:
        raise Unusable(f"its outputs have {list(sizes.values())} numbers: expected 1, harmonics, bands and {width}")
    metadata = metadata_of(harmonics=shapes["harmonic_distribution"], noise_bands=shapes["noise_magnitudes"], state=width)
    return finish(carrier.nodes, list(carrier.constants.values()), shapes, metadata)


def trained_range(content):
    """(pitch range in MIDI, loudness range in dBFS) from the metadata.json that published models carry at their end."""
    from trainer.contract import midi_of

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            said = json.loads(archive.read("metadata.json"))
        pitches = sorted(midi_of(float(said[k])) for k in ("mean_min_pitch_note_hz", "mean_max_pitch_note_hz"))
        levels = sorted(float(said[k]) for k in ("mean_min_power_note", "mean_max_power_note"))
        levels = [l if l <= 0 else 80.0 * (l - 1.0) for l in levels]
        if 0 <= pitches[0] < pitches[1] <= 127 and -80 <= levels[0] < levels[1] <= 0:
            return pitches, levels
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError):
        pass
    return (36.0, 96.0), (-60.0, -1.0)


def compare(content, model, steps=1000):
    """The farthest that ONNX Runtime and LiteRT are apart over a number of steps; None without LiteRT."""
    import numpy as np

    from trainer.running import Running

    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        return None
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    inputs = {re.sub(r"^(call|serving_default)_", "", d["name"].split(":")[0]): d for d in interpreter.get_input_details()}
    outputs = {int(d["name"].rsplit(":", 1)[1]): d for d in interpreter.get_output_details()}
    running = Running(model.SerializeToString())
    state = np.zeros(inputs["state"]["shape"], np.float32)
    random = np.random.default_rng(3)
    farthest = 0.0
    for _ in range(steps):
        pitch, loudness = random.uniform(0.25, 0.75), random.uniform(0.0, 1.0)
        for name, value in (("f0_scaled", pitch), ("pw_scaled", loudness), ("state", state)):
            interpreter.set_tensor(inputs[name]["index"], np.float32(value).reshape(inputs[name]["shape"]))
        interpreter.invoke()
        theirs = [interpreter.get_tensor(outputs[i]["index"]).ravel() for i in range(4)]
        state = theirs[3]
        amplitude, distribution, noise = running.step(pitch, loudness)
        ours = [np.float32([amplitude]), distribution, noise, running.state]
        farthest = max(farthest, *(float(np.abs(a - b).max()) for a, b in zip(ours, theirs)))
    return farthest


def main():
    given = arguments()
    try:
        content = given.model.read_bytes()
    except OSError as why:
        sys.exit(f"{given.model}: {why.strerror}")
    try:
        import onnx  # noqa: F401
        import tflite  # noqa: F401

        from trainer import contract
    except ImportError as why:
        sys.exit(f"{why.name} is not installed: pip install -r models/requirements-convert.txt")
    import datetime

    pitches, levels = trained_range(content)

    def metadata_of(**sizes):
        return contract.metadata(
            instrument=given.name or given.model.stem, sample_rate=RATE, hop=HOP,
            pitch_range=f"{pitches[0]:.1f} {pitches[1]:.1f}", loudness_range=f"{levels[0]:.1f} {levels[1]:.1f}",
            # As the older server played them: its 0 to 1 is what the model is given.
            loudness_map="0:0 1:1", licence=given.licence,
            provenance=given.provenance or f"converted from {given.model.name}",
            date=datetime.date.today().isoformat(), figures="{}", **sizes,
        )

    try:
        model = convert(content, metadata_of)
        apart = compare(content, model)
    except Unusable as why:
        sys.exit(f"{given.model}: {why}")
    out = given.out or given.model.with_suffix(".onnx")
    out.write_bytes(model.SerializeToString())
    said = "LiteRT is not installed, so nothing was compared" if apart is None else f"at most {apart:.1e} from LiteRT over 1000 steps"
    print(f"{out}: {len(model.graph.node)} nodes, {said}")
    if apart is not None and apart > 1e-4:
        sys.exit(f"{out}: it does not sound as the original does; please report the file")


main()
