"""The two binary formats scsynth reads: synth definitions and scores of OSC bundles.

Both follow SuperCollider's documentation: "Synth Definition File Format" (version 2) and "Non-Realtime Synthesis
(NRT)". Everything is big endian, floats are 32 bit.
"""

import struct

SCALAR, CONTROL, AUDIO = 0, 1, 2  # calculation rates
MUL = 2  # BinaryOpUGen's operator for `*`


class SynthDef:
    """A unit generator graph; generators are added in order of computation.

    A signal is a pair (unit generator, output); a plain number is a constant.
    """

    def __init__(self, name, **parameters):
        self.name = name
        self.parameters = parameters
        self.constants = []
        self.ugens = []
        outputs = self.add("Control", CONTROL, [], outputs=len(parameters))
        self.control = dict(zip(parameters, outputs))

    def add(self, ugen, rate, inputs, outputs=1, operator=0):
        """Adds a unit generator and returns its output signals."""
        spec = _pstring(ugen) + struct.pack(">biih", rate, len(inputs), outputs, operator)
        for signal in inputs:
            spec += struct.pack(">ii", *(signal if isinstance(signal, tuple) else self._constant(signal)))
        self.ugens.append(spec + bytes([rate]) * outputs)
        return [(len(self.ugens) - 1, output) for output in range(outputs)]

    def ar(self, ugen, *inputs):
        """Adds an audio rate unit generator with one output and returns that output."""
        return self.add(ugen, AUDIO, inputs)[0]

    def mul(self, a, b, rate=AUDIO):
        return self.add("BinaryOpUGen", rate, [a, b], operator=MUL)[0]

    def encode(self):
        """The bytes of a definition file that holds only this one."""
        names = list(self.parameters)
        return b"".join(
            [
                struct.pack(">4sih", b"SCgf", 2, 1),
                _pstring(self.name),
                _floats(self.constants),
                _floats(self.parameters.values()),
                struct.pack(">i", len(names)),
                *(_pstring(name) + struct.pack(">i", index) for index, name in enumerate(names)),
                struct.pack(">i", len(self.ugens)),
                *self.ugens,
                struct.pack(">h", 0),  # no variants
            ]
        )

    def _constant(self, value):
        if value not in self.constants:
            self.constants.append(value)
        return -1, self.constants.index(value)


def score(events):
    """The bytes of an NRT command file from (seconds, OSC message) pairs; the last one ends the render."""
    file = b""
    for seconds, message in events:
        time = round(seconds * 2**32)  # an OSC time tag that counts from the start of the render
        bundle = b"#bundle\0" + struct.pack(">Qi", time, len(message)) + message
        file += struct.pack(">i", len(bundle)) + bundle
    return file


def message(address, *arguments):
    """An OSC message; arguments are encoded by Python type: int, float, str, and bytes as a blob."""
    tags, data = ",", b""
    for argument in arguments:
        if isinstance(argument, int):
            tags, data = tags + "i", data + struct.pack(">i", argument)
        elif isinstance(argument, float):
            tags, data = tags + "f", data + struct.pack(">f", argument)
        elif isinstance(argument, str):
            tags, data = tags + "s", data + _osc_string(argument)
        else:
            blob = struct.pack(">i", len(argument)) + argument
            tags, data = tags + "b", data + blob + bytes(-len(blob) % 4)
    return _osc_string(address) + _osc_string(tags) + data


def _osc_string(text):
    text = text.encode() + b"\0"
    return text + bytes(-len(text) % 4)


def _pstring(text):
    return bytes([len(text)]) + text.encode("ascii")


def _floats(values):
    return struct.pack(f">i{len(values)}f", len(values), *values)
