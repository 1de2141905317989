"""Prints a table of the quality of tempo changes by grooved and other programs, on the same signals.

Usage: table.py PROGRAM [--only NAME] [--seed N], or table.py PROGRAM --music [--sections NAMES] [--pieces NAMES]
"""

import argparse
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import engines
import measures
import music
import signals

COLUMNS = [
    ("multi dB", "multi", "{:.1f}"),
    ("harm dB", "harm", "{:.1f}"),
    ("sweep dB", "sweep", "{:.1f}"),
    ("tick ms", "tick_ms", "{:.3f}"),
    ("NCC", "ncc", "{:.3f}"),
    ("amp", "amp", "{:.2f}"),
    ("pre dB", "pre", "{:.1f}"),
    ("post dB", "post", "{:.1f}"),
    ("dup", "dup", "{:.2f}"),
    ("ppm", "ppm", "{:+.1f}"),
    ("mel dB", "mel", "{:.2f}"),
    ("onset", "onset", "{:.3f}"),
    ("quiet mel", "quiet", "{:.2f}"),
    ("pan dB", "pan", "{:.1f}"),
    ("ramp smp", "ramp", "{:.1f}"),
    ("ramp dB", "ramp_snr", "{:.1f}"),
    ("HF dB", "hf", "{:.1f}"),
]


def worst(values, key):
    return max(values, key=lambda v: abs(v[key]))[key]


def ramp_of_ticks(stretch, bpm, seed):
    """120 → 130 BPM over 30 s of output; the maximum error after the engine's constant delays, in samples."""
    audio, places, sound = signals.ticks(34.0, bpm, seed)
    curve = [(0.0, 1.0), (30.0, 130 / 120)]
    out = stretch(audio, None, curve)
    if out is None:
        return np.nan
    # The inverse of the position in the input after t seconds of output.
    slope = (curve[1][1] - 1) / 30
    when = lambda q: (-1 + np.sqrt(1 + 2 * slope * q)) / slope
    seconds = places / signals.RATE
    inside = seconds < 30
    expected = when(seconds[inside]) * signals.RATE
    found = measures.find_ticks(out, sound, expected)[:, 0]
    fine = ~np.isnan(found)
    error = found[fine] - expected[fine]
    return float(np.max(np.abs(error - np.median(error))))


def figures(stretch, seed=0):
    """All figures of one engine."""
    row = {}
    tones, freqs = signals.multi(seed=1 + seed)
    row["multi"] = np.mean([measures.tone_snr(stretch(tones, s), freqs, 8) for s in (0.9, 1.1)])
    audio, freqs_h = signals.harmonics()
    row["harm"] = np.mean([measures.tone_snr(stretch(audio, s), freqs_h, 2) for s in (0.9, 1.1)])
    row["sweep"] = np.mean([measures.sweep_snr(stretch(signals.sweep(), s), s) for s in (0.9, 1.1)])
    runs = []
    for kind, bpm in ((0, 120.0), (1, 133.0)):
        audio, places, sound = signals.ticks(14.0, bpm, 3 + seed, kind)
        runs += [measures.tick_figures(stretch(audio, s), sound, places, s) for s in (0.9, 1.1)]
    for key in ("tick_ms", "pre", "post", "dup"):
        row[key] = max(r[key] for r in runs)
    row["ncc"] = min(r["ncc"] for r in runs)
    row["amp"] = min(r["amp"] for r in runs)
    row["ppm"] = worst(runs, "ppm")
    for name, drums, pad in (("mel", 1.0, 1.0), ("quiet", 0.25, 2.0)):
        pairs = []
        for s in (0.9, 1.1):
            audio = signals.mixture(1.0, drums=drums, pad=pad, seed=4 + seed)
            pairs.append(measures.mel_figures(stretch(audio, s), signals.mixture(s, drums=drums, pad=pad, seed=4 + seed)))
        row[name] = np.mean([p[0] for p in pairs])
        if name == "mel":
            row["onset"] = np.mean([p[1] for p in pairs])
    audio = signals.panned(seed=5 + seed)
    row["pan"] = max((measures.pan_residual(stretch(audio, s)) for s in (0.9, 1.1)), key=lambda v: abs(v - measures.pan_residual(audio)))
    row["ramp"] = ramp_of_ticks(stretch, 120.0, 7 + seed)
    tones, freqs = signals.multi(12.5, seed=8 + seed)
    out = stretch(tones, None, [(0.0, 1.0), (11.0, 1.083)])
    row["ramp_snr"] = np.nan if out is None else measures.tone_snr(out, freqs, 8)
    row["hf"] = np.nan if out is None else measures.hf_peak(out)
    return row


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--only", help="test only engines whose names contain this text")
    parser.add_argument("--seed", type=int, default=0, help="use other signals of the same kind")
    parser.add_argument("--music", action="store_true", help="measure music instead of single signals")
    music.add_options(parser)
    args = parser.parse_args()
    if args.music:
        music.check_options(parser, args)
        return music.main(args.program, args)
    rows = {n: e for n, e in engines.every(args.program).items() if not args.only or args.only in n}
    with ThreadPoolExecutor(2) as pool:
        results = dict(zip(rows, pool.map(lambda e: figures(e, args.seed), rows.values())))
    width = max(len(n) for n in results)
    print(" " * width, *(name.rjust(9) for name, _, _ in COLUMNS))
    for name, row in results.items():
        cells = ["-" if np.isnan(row[key]) else text.format(row[key]) for _, key, text in COLUMNS]
        print(name.ljust(width), *(c.rjust(9) for c in cells))
    print(f"\nimage of the input itself: {measures.pan_residual(signals.panned(seed=5 + args.seed)):.1f} dB")


if __name__ == "__main__":
    main()
