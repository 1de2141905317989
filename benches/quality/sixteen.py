"""Converts a 32-bit float WAV file of grooved to 16 bits, which every program reads. Usage: sixteen.py IN OUT"""

import array
import sys
import wave

data = open(sys.argv[1], "rb").read()
fmt, start = data.index(b"fmt "), data.index(b"data") + 8
channels = int.from_bytes(data[fmt + 10 : fmt + 12], "little")
rate = int.from_bytes(data[fmt + 12 : fmt + 16], "little")
samples = array.array("f", data[start : start + (len(data) - start) // 4 * 4])
with wave.open(sys.argv[2], "wb") as out:
    out.setnchannels(channels)
    out.setsampwidth(2)
    out.setframerate(rate)
    out.writeframes(array.array("h", (max(-32768, min(32767, round(s * 32767))) for s in samples)).tobytes())
