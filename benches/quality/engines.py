"""The engines under test: each takes a signal and a speed (or a curve of speeds) and returns the stretched signal."""

import os
import shutil
import subprocess
import tempfile
import warnings

import numpy as np
from scipy.io import wavfile

from signals import RATE


def _through(command, audio, extra=()):
    """Writes a WAV file, runs a command on it, and returns the samples of the command's output."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "in.wav"), os.path.join(folder, "out.wav")
        wavfile.write(source, RATE, audio.astype(np.float32))
        files = []
        for k, text in enumerate(extra):
            path = os.path.join(folder, f"extra{k}")
            with open(path, "w") as f:
                f.write(text)
            files.append(path)
        run = subprocess.run(command(source, target, *files), capture_output=True, text=True)
        if run.returncode:
            raise RuntimeError(f"{run.args}: {run.stderr or run.stdout}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rate, out = wavfile.read(target)
        assert rate == RATE
        return out.astype(np.float64) / (32768 if out.dtype == np.int16 else 1)


def grooved(program, method):
    def stretch(audio, speed, curve=None):
        if curve is None:
            return _through(lambda i, o: [program, "stretch", i, o, "--quiet", "--method", method, "--rate", str(speed)], audio)
        text = "".join(f"{t!r},{s!r}\n" for t, s in curve)
        return _through(lambda i, o, c: [program, "stretch", i, o, "--quiet", "--method", method, "--curve", c], audio, [text])

    return stretch


def _soundtouch(audio, *options):
    quiet = np.clip(audio * 0.5, -1, 1)
    wave = (quiet * 32767).astype(np.int16)
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "in.wav"), os.path.join(folder, "out.wav")
        wavfile.write(source, RATE, wave)
        subprocess.run(["soundstretch", source, target, *options], check=True, capture_output=True)
        return 2 * wavfile.read(target)[1].astype(np.float64) / 32768


def soundtouch(audio, speed, curve=None):
    return None if curve else _soundtouch(audio, f"-tempo={100 * (speed - 1):+.6f}")


def rubberband(flag):
    def stretch(audio, speed, curve=None):
        if curve:
            return None
        return _through(lambda i, o: ["rubberband", "-q", flag, "--time", repr(1 / speed), i, o], audio)

    return stretch


def signalsmith(audio, speed, curve=None):
    if curve:
        return None
    import python_stretch.Signalsmith as library

    machine = library.Stretch()
    machine.configure(2, 4096, 1024)
    machine.timeFactor = speed
    return np.asarray(machine.process(np.ascontiguousarray(audio.T, dtype=np.float32)), dtype=np.float64).T


def peers():
    found = {}
    if shutil.which("soundstretch"):
        found["SoundTouch"] = soundtouch
    if shutil.which("rubberband"):
        found["Rubber Band R2"] = rubberband("-2")
        found["Rubber Band R3"] = rubberband("-3")
    try:
        import python_stretch.Signalsmith  # noqa: F401

        found["Signalsmith 4096/1024"] = signalsmith
    except ImportError:
        pass
    return found


def every(program):
    """Returns all engines by name: those of the program under test and the peers that are installed."""
    return {f"grooved {m}": grooved(program, m) for m in ("wsola", "hq")} | peers()


def _signalsmith_key(audio, semitones):
    import python_stretch.Signalsmith as library

    machine = library.Stretch()
    machine.configure(2, 4096, 1024)
    machine.setTransposeSemitones(semitones)
    return np.asarray(machine.process(np.ascontiguousarray(audio.T, dtype=np.float32)), dtype=np.float64).T


def keys(program):
    """Returns, by name, the engines that change the key and keep the tempo; with formants kept where they can."""
    change = [program, "stretch", "--quiet", "--rate", "1"]
    found = {
        "grooved wsola": lambda a, k: _through(lambda i, o: [*change, "--method", "wsola", "--pitch", str(k), i, o], a),
        "grooved hq": lambda a, k: _through(
            lambda i, o: [*change, "--method", "hq", "--formants", "--pitch", str(k), i, o], a
        ),
        "SoundTouch": lambda a, k: _soundtouch(a, f"-pitch={k:+d}"),
    }
    for name, flag in (("Rubber Band R2", "-2"), ("Rubber Band R3", "-3")):
        found[name] = lambda a, k, flag=flag: _through(
            lambda i, o: ["rubberband", "-q", flag, "-F", "-p", str(k), i, o], a
        )
    found["Signalsmith 4096/1024"] = _signalsmith_key
    there = every(program)
    return {name: change for name, change in found.items() if name in there}
