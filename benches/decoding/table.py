#!/usr/bin/env python3
"""Compares how grooved and ffmpeg decode every file below a folder.

Usage: table.py GROOVED FOLDER [NAME...]

One row per file: frames and rate as decoded by each, the offset of grooved's sound relative to ffmpeg's (in frames, by
cross-correlation; positive: grooved is later), and the residual of ffmpeg's sound minus grooved's (in dB relative to
ffmpeg's level, over the frames that both have, offset corrected). Multichannel files are mixed to stereo after ITU-R
BS.775 on ffmpeg's side too. A file that grooved rejects shows the reason.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HALF = 2 ** -0.5
SIDES = {"FL": (1, 0), "FR": (0, 1), "FLC": (1, 0), "FRC": (0, 1), "BL": (HALF, 0), "BR": (0, HALF), "SL": (HALF, 0),
         "SR": (0, HALF), "LFE": (0, 0)}
LAYOUTS = {"3.0": "FL FR FC", "2.1": "FL FR LFE", "quad": "FL FR BL BR", "4.0": "FL FR FC BC", "5.0": "FL FR FC BL BR",
           "5.0(side)": "FL FR FC SL SR", "5.1": "FL FR FC LFE BL BR", "5.1(side)": "FL FR FC LFE SL SR",
           "6.1": "FL FR FC LFE BC SL SR", "7.1": "FL FR FC LFE BL BR SL SR", "6.1(back)": "FL FR FC LFE BL BR BC"}
BY_COUNT = {3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


def by_ffmpeg(path):
    """Stereo samples and the rate, or the reason why there are none."""
    probe = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "a:0", "-show_entries",
                            "stream=sample_rate,channels,channel_layout", "-of", "default=nw=1", str(path)],
                           capture_output=True, text=True)
    facts = dict(line.split("=", 1) for line in probe.stdout.splitlines() if "=" in line)
    channels = int(facts.get("channels", 0) or 0)
    if channels == 0:
        return None, (probe.stderr.strip().splitlines() or ["no sound"])[-1]
    run = subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:a:0", "-f", "f32le", "-"],
                         capture_output=True)
    samples = np.frombuffer(run.stdout[: len(run.stdout) // (4 * channels) * 4 * channels], "<f4")
    samples = np.nan_to_num(samples.reshape(-1, channels).astype(np.float64), posinf=0, neginf=0)
    if len(samples) == 0:
        return None, (run.stderr.decode(errors="replace").strip().splitlines() or ["no sound"])[-1]
    if channels == 1:
        stereo = np.repeat(samples, 2, axis=1)
    elif channels == 2:
        stereo = samples
    else:
        layout = LAYOUTS.get(facts.get("channel_layout", ""), LAYOUTS.get(BY_COUNT.get(channels, ""), "")).split()
        layout = layout if len(layout) == channels else ["?"] * channels
        stereo = samples @ np.array([SIDES.get(name, (HALF, HALF)) for name in layout])
    return stereo, int(facts["sample_rate"])


def by_grooved(grooved, path, folder):
    """Stereo samples and the rate, or the reason why there are none."""
    out = pathlib.Path(folder) / "out.wav"
    out.unlink(missing_ok=True)
    # At rate 1 the splicing stretcher passes every sample through unchanged.
    try:
        run = subprocess.run([grooved, "stretch", "--method", "wsola", "--rate", "1", "--quiet", str(path), str(out)],
                             capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return None, None, "(stopped after 20 s)"
    said = run.stderr.strip().replace(str(path), "it").removeprefix("grooved: ").removeprefix("file 'it' ")
    if not out.exists():
        return None, None, said or f"exit {run.returncode}"
    data = out.read_bytes()
    rate = int.from_bytes(data[60:64], "little")
    return np.frombuffer(data[94:], "<f4").reshape(-1, 2).astype(np.float64), rate, said


def offset(ours, theirs):
    """Frames by which `ours` is later than `theirs`, by cross-correlation of both channels' sum."""
    n = min(len(ours), 400_000), min(len(theirs), 400_000)
    a, b = ours[: n[0]].sum(axis=1), theirs[: n[1]].sum(axis=1)
    if not a.any() or not b.any():
        a, b = ours[: n[0], 0], theirs[: n[1], 0]
    size = 1 << (n[0] + n[1] - 1).bit_length()
    product = np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size))
    # Whitened, so that one tone does not correlate with itself a period later.
    level = np.abs(product)
    if level.max() == 0:
        return 0
    product /= np.maximum(level, 1e-6 * level.max())
    peak = int(np.argmax(np.fft.irfft(product, size)))
    return peak - size if peak > size // 2 else peak


def residual(ours, theirs, lag):
    """Residual of `theirs` minus `ours`, in dB relative to `theirs`."""
    a = ours[max(lag, 0):]
    b = theirs[max(-lag, 0):]
    n = min(len(a), len(b))
    if n == 0:
        return float("nan")
    left, all_ = np.square(a[:n] - b[:n]).mean(), np.square(b[:n]).mean()
    if all_ == 0:
        return float("-inf") if left == 0 else float("inf")
    return 10 * np.log10(max(left / all_, 1e-30))


def main():
    grooved, folder, *names = sys.argv[1:]
    folder = pathlib.Path(folder)
    paths = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix not in (".md", ".mid", ".kar", ".rmi")]
    if names:
        paths = [p for p in paths if any(name in str(p) for name in names)]
    print(f"{'file':<36}{'frames':>9}{'ffmpeg':>9}{'Hz':>8}{'ffmpeg':>8}{'offset':>8}{'residual':>10}  grooved's messages")
    with tempfile.TemporaryDirectory() as temporary:
        for path in paths:
            name = str(path.relative_to(folder))
            ours, rate, said = by_grooved(grooved, path, temporary)
            theirs, their_rate = by_ffmpeg(path)
            row = f"{name:<36}{len(ours) if ours is not None else '-':>9}{len(theirs) if theirs is not None else '-':>9}"
            row += f"{rate if ours is not None else '-':>8}{their_rate if theirs is not None else '-':>8}"
            if ours is not None and theirs is not None and len(ours) and rate == their_rate:
                # The offset with the smallest residual: correlation finds several in a steady tone.
                lags = {offset(ours, theirs), 0}
                left = {lag: residual(ours, theirs, lag) for lag in lags}
                lag = min(lags, key=lambda k: (left[k] - (3 if k == 0 else 0)))
                row += f"{lag:>8}{left[lag]:>10.1f}"
            else:
                row += f"{'-':>8}{'-':>10}"
            print(f"{row}  {said.splitlines()[0] if said else ''}".rstrip(), flush=True)


main()
