"""The table of music: all engines on pieces with a known truth, on published mixes, and on scenes with known answers.

Definitions are in the modules that measure: `spectra`, `attacks`, `warble`, `hits`, `tones`, `formants`, `superflux`.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache

import numpy as np
from scipy.io import wavfile

import alignment
import attacks
import engines
import formants
import hits
import measures
import mixes
import pieces
import scenes
import spectra
import superflux
import synth
import tones
import warble
from signals import RATE

SPEEDS = (0.8, 0.9, 1.1, 1.25)
MELODIC = ("string quartet", "piano ballad", "guitar", "choir", "brass")
LAG_PIECES, LAG_SECONDS = ("drum'n'bass", "house", "funk"), 10.0
KEYS = (4, 7, -4)
# Hits of which the first this many seconds are compared, or as much as fits before the next one.
HIT_SECONDS = 0.03
SNARE_SECONDS = 0.1


@lru_cache
def code(*names):
    """Returns a short name for the contents of modules."""
    here = os.path.dirname(os.path.abspath(__file__))
    digest = hashlib.sha1()
    for name in names:
        with open(os.path.join(here, name), "rb") as f:
            digest.update(f.read())
    return digest.hexdigest()[:12]


def material(folder):
    """Returns the folder of the rendered pieces, which is named after the code that makes them."""
    return os.path.join(folder, code("pieces.py", "synth.py"))


def sounds_path(folder):
    return os.path.join(folder, f"sounds-{code('scenes.py', 'signals.py')}.npz")


def prepare(folder, names):
    """Renders the pieces that are missing, and the sampled sounds of the scenes; removes those of older code."""
    os.makedirs(folder, exist_ok=True)
    kept = os.path.dirname(folder)
    for old in os.listdir(kept):
        if old != os.path.basename(folder) and re.fullmatch("[0-9a-f]{12}", old):
            shutil.rmtree(os.path.join(kept, old))
    for name in names:
        for speed in pieces.SPEEDS:
            path = piece_path(folder, name, speed)
            if not os.path.exists(path):
                audio = pieces.render(machine(), written()[name], speed).astype(np.float32)
                # A run that was stopped must not leave half a file.
                wavfile.write(path + ".part", RATE, audio)
                os.replace(path + ".part", path)
    if not os.path.exists(sounds_path(folder)):
        found = {f"hat {k}": s for k, s in scenes.hats(machine()).items()}
        found |= {f"snare {k}": s for k, s in scenes.snares(machine()).items()}
        found |= {f"bed {k}": b for k, b in scenes.beds(machine()).items()}
        np.savez(sounds_path(folder), **found)


def piece_path(folder, name, speed):
    return os.path.join(folder, f"{name.replace(chr(39), '').replace(' ', '-')}-{speed:g}.wav")


@lru_cache(maxsize=8)
def piece(folder, name, speed):
    return wavfile.read(piece_path(folder, name, speed))[1].astype(np.float64)


@lru_cache(maxsize=1)
def sounds(folder):
    with np.load(sounds_path(folder)) as found:
        return dict(found)


@lru_cache(maxsize=1)
def machine():
    return synth.Synth()


@lru_cache(maxsize=1)
def written():
    return pieces.all_pieces()


def known_onsets(name, speed, drums=None):
    """Returns the frames at which notes start: all, or only those of drums."""
    notes, _ = written()[name].at(speed)
    return np.array([round(n.start * RATE) for n in notes if drums is None or n.part.drums == drums])


def quietly(engine, audio, speed):
    """Returns the stretched sound; the engine gets it with a peak of at most 0.5, since some clip."""
    gain = min(1.0, 0.5 / np.max(np.abs(audio)))
    return engine(audio * gain, speed) / gain


def round_trip(engine, audio):
    return quietly(engine, quietly(engine, audio, 1.1), 1 / 1.1)


def lags_of(engine, folder):
    """Returns the lag of an engine in frames by speed, and of a round trip: the median of three pieces with drums."""
    begin = lambda name, speed: piece(folder, name, speed)[: int(LAG_SECONDS / speed * RATE)]
    found = {}
    for speed in SPEEDS:
        pairs = [(begin(n, 1.0), begin(n, speed)) for n in LAG_PIECES]
        found[speed] = float(np.median([alignment.lag(quietly(engine, o, speed), t) for o, t in pairs]))
    originals = [begin(n, 1.0) for n in LAG_PIECES]
    found["round"] = float(np.median([alignment.lag(round_trip(engine, o), o) for o in originals]))
    return found


def of_piece(engine, folder, lags, name, speeds):
    """Figures of one piece at all speeds."""
    rows = {}
    original = piece(folder, name, 1.0)
    for speed in speeds:
        if engine is None:
            out = pieces.render(machine(), written()[name], speed, MOVED_SECONDS)
        else:
            out = quietly(engine, original, speed)
        found, truth = alignment.aligned(out, piece(folder, name, speed), lags[speed])
        row = {"lag": lags[speed] * 1000 / RATE}
        row["mel"], row["onset"] = spectra.mel_distance(found, truth)
        row["multi"] = spectra.multi_scale(found, truth)
        row["image"], row["coherence"] = spectra.stereo(found, truth)
        row["warble"] = warble.warble(found, truth)
        onsets = known_onsets(name, speed)
        row |= attacks.figures(found, truth, onsets)
        if name in MELODIC:
            row |= attacks.rise_timing(found, truth, onsets)
        rows[f"{speed:g}"] = row
    return rows


def of_mix(engine, lags, name):
    """Figures of one published mix."""
    original = mixes.excerpts()[0][name]
    marks = np.round(superflux.onsets(original) * RATE)
    row = {}
    for speed in (0.9, 1.1):
        found = alignment.shifted(quietly(engine, original, speed), lags[speed])
        row[f"mel {speed}"], row[f"onset {speed}"] = spectra.mapped_distance(found, original, speed)
        row[f"mel2048 {speed}"] = spectra.mapped_distance(found, original, speed, 2_048)[0]
        row[f"shift90 {speed}"] = attacks.mapped_shifts(found, original, marks, speed)
    back, expected = alignment.aligned(round_trip(engine, original), original, lags["round"])
    row["round mel"], row["round onset"] = spectra.mel_distance(back, expected)
    return row


def of_chord(engine, chord, every_ms):
    audio, freqs = scenes.chord_under_hats(chord, every_ms), scenes.CHORDS_HZ[chord]
    outs = [tones.without_hats(quietly(engine, audio, s)) for s in (0.9, 1.1)]
    return {
        "snr": float(np.mean([measures.tone_snr(o, freqs, 8) for o in outs])),
        "steady": float(np.mean([tones.steadiness(o, freqs) for o in outs])),
    }


def of_low(engine, hz):
    row = {}
    for name, overtones in (("pure", 1), ("rich", 8)):
        outs = [quietly(engine, scenes.low_tone(hz, overtones=overtones), s) for s in (0.9, 1.1)]
        row[name] = float(np.mean([measures.tone_snr(o, hz * np.arange(1, overtones + 1), 2) for o in outs]))
    return row


def of_roll(engine, folder, kind, spacing):
    sound = sounds(folder)[f"hat {kind}"]
    rows = []
    for speed in (0.9, 1.1):
        audio, at, gains = scenes.roll(sound, spacing)
        apart = spacing / 1000 * RATE / speed
        head = sound[: int(min(HIT_SECONDS * RATE, 0.75 * apart))]
        out = audio if engine is None else quietly(engine, audio, speed)
        expected = at if engine is None else at / speed
        rows.append(hits.find(out, head, expected, gains, apart))
    return worst_of(rows)


def of_snare(engine, folder, kind, level, speeds):
    found = sounds(folder)
    sound = found[f"snare {kind}"]
    audio, at, gain = scenes.buried(found[f"bed {kind}"], sound, level)
    head = sound[: int(SNARE_SECONDS * RATE)]
    rows = []
    for speed in speeds:
        out = audio if engine is None else quietly(engine, audio, speed)
        expected = at if engine is None else at / speed
        rows.append(hits.find(out, head, expected, np.full(len(at), gain), 0.5 * RATE))
    return worst_of(rows)


def worst_of(rows):
    lowest = ("ncc",)
    return {k: (min if k in lowest else max)(r[k] for r in rows) for k in rows[0]}


def of_voice(change, voice, semitones):
    audio = scenes.sung() if voice == "sung" else mixes.speech()
    return float(formants.moved(change(0.5 * audio / np.max(np.abs(audio)), semitones), audio))


def of_detector(folder, name, command):
    """Recall and false positives of a detector: a command that prints seconds, or SuperFlux if there is none."""
    if name.startswith("roll "):
        _, kind, spacing = name.split()
        audio, at, _ = scenes.roll(sounds(folder)[f"hat {kind}"], int(spacing))
        known, drums = at / RATE, at / RATE
        path = os.path.join(folder, f"{name.replace(' ', '-')}.wav")
        wavfile.write(path, RATE, audio.astype(np.float32))
    else:
        path = piece_path(folder, name, 1.0)
        audio = piece(folder, name, 1.0)
        known, drums = known_onsets(name, 1.0) / RATE, known_onsets(name, 1.0, True) / RATE
    if command:
        lines = subprocess.run([*command.split(), path], check=True, capture_output=True, text=True).stdout.split()
        found = np.array([float(line) for line in lines])
    else:
        found = superflux.onsets(audio)
    recall, false = superflux.score(found, known)
    return {"recall": recall, "drums": superflux.score(found, drums)[0], "false": false}


def work(task):
    """Runs one task in a process of its own; tasks are plain data."""
    section, program, name, folder, arguments = task
    if section == "lags":
        return lags_of(engines.every(program)[name], folder)
    if section == "voices":
        return of_voice(engines.keys(program)[name], *arguments)
    if section == "onsets":
        return of_detector(folder, *arguments)
    engine = None if name in (INPUT, MOVED) else engines.every(program)[name]
    if section in LAGGING:
        lags, *rest = arguments
        return of_piece(engine, folder, lags, *rest) if section == "pieces" else of_mix(engine, lags, *rest)
    if section in ("rolls", "snare"):
        return {"rolls": of_roll, "snare": of_snare}[section](engine, folder, *arguments)
    return {"chord": of_chord, "low": of_low}[section](engine, *arguments)


INPUT = "(the input itself)"
# The truth, but each of its onsets moved at random by up to 0.75 ms: what no figure can be expected to be better than.
MOVED, MOVED_SECONDS = "(truth, onsets ±0.7 ms)", 0.00075
# Sections that compare with something else than the position of single hits.
LAGGING = ("pieces", "mixes")
NO_LAGS = dict.fromkeys(SPEEDS, 0.0)
SECTIONS = ("pieces", "mixes", "chord", "low", "rolls", "snare", "voices", "onsets")


def tasks_of(section, options, names):
    """Yields (engine, item, arguments) of a section."""
    rows = list(names)
    if section == "pieces":
        for item in options.pieces:
            yield from ((e, item, (item, options.speeds)) for e in [MOVED, *rows])
    elif section == "mixes":
        there, missing = mixes.excerpts()
        if missing:
            print(f"not installed: {', '.join(missing)}", file=sys.stderr)
        for item in there:
            yield from ((e, item, (item,)) for e in rows)
    elif section == "chord":
        for chord in scenes.CHORDS_HZ:
            for every in scenes.EVERY_MS:
                yield from ((e, f"{chord} {every or 'none'}", (chord, every)) for e in rows)
    elif section == "low":
        for hz in scenes.LOW_HZ:
            yield from ((e, f"{hz:g}", (hz,)) for e in rows)
    elif section == "rolls":
        for kind in ("sampled", "808", "noise"):
            for spacing in scenes.SPACINGS_MS:
                yield from ((e, f"{kind} {spacing}", (kind, spacing)) for e in [INPUT, *rows])
    elif section == "snare":
        for kind in ("synthetic", "sampled"):
            for level in scenes.LEVELS_DB:
                yield INPUT, f"{kind} {level}", (kind, level, (1.0,))
                for e in rows:
                    yield e, f"{kind} {level}", (kind, level, (0.9, 1.1))
                    yield e, f"{kind} {level} at 0.6", (kind, level, (0.6,))
    elif section == "voices":
        for voice in ("sung", "speech"):
            if voice == "speech" and mixes.speech() is None:
                print("not installed: speech", file=sys.stderr)
                continue
            for k in KEYS:
                yield from ((e, f"{voice} {k:+d}", (voice, k)) for e in rows)
    else:
        items = [*options.pieces, *(f"roll {k} {s}" for k in ("sampled", "noise") for s in scenes.SPACINGS_MS)]
        detectors = {"SuperFlux": None}
        if options.onsets:
            detectors["grooved"] = options.onsets
        for item in items:
            yield from ((name, item, (item, command)) for name, command in detectors.items())


def run(program, options):
    """Returns the figures as {section: {engine: {item: figures}}}."""
    folder = material(options.material)
    lagging = set(LAGGING) & set(options.sections)
    prepare(folder, options.pieces if not lagging else {*options.pieces, *LAG_PIECES})
    names = [n for n in engines.every(program) if not options.only or options.only in n]
    results = {}
    with ProcessPoolExecutor(options.jobs) as pool:
        lags = {}
        if lagging:
            lags = dict(zip(names, pool.map(work, [("lags", program, n, folder, ()) for n in names])))
        waiting = []
        for section in options.sections:
            for name, item, arguments in tasks_of(section, options, names):
                if section in LAGGING:
                    arguments = (lags.get(name, NO_LAGS), *arguments)
                task = (section, program, name, folder, arguments)
                waiting.append((section, name, item, pool.submit(work, task)))
        for k, (section, name, item, future) in enumerate(waiting):
            if sys.stderr.isatty():
                print(f"\r{k} of {len(waiting)}", end="", file=sys.stderr, flush=True)
            results.setdefault(section, {}).setdefault(name, {})[item] = future.result()
    return results


def merge(new, old):
    """Adds the figures of engines that were not run again."""
    for section, rows in old.items():
        for name, items in rows.items():
            for item, figures in items.items():
                new.setdefault(section, {}).setdefault(name, {}).setdefault(item, figures)
    return new


def show(title, rows, columns):
    """Prints a table of {row: {column: text}}."""
    print(f"\n{title}")
    width = max(map(len, rows))
    sizes = {c: max(len(c), *(len(r.get(c, "-")) for r in rows.values())) for c in columns}
    print(" " * width, *(c.rjust(sizes[c]) for c in columns), sep="  ")
    for name, row in rows.items():
        print(name.ljust(width), *(row.get(c, "-").rjust(sizes[c]) for c in columns), sep="  ")


def cells(rows, pick, text):
    """Returns {row: {item: text}} with what `pick` returns of an item's figures."""
    return {
        n: {i: text.format(pick(f)) for i, f in items.items() if not np.isnan(pick(f))} for n, items in rows.items()
    }


def mean_of(figures, key):
    """Returns the mean of a figure over the speeds of one piece."""
    values = [f[key] for f in figures.values() if key in f]
    return float(np.mean(values)) if values else np.nan


PIECE_COLUMNS = (
    ("mel dB", "mel", "{:.2f}"),
    ("onset", "onset", "{:.3f}"),
    ("multi dB", "multi", "{:.2f}"),
    ("shift ms", "shift", "{:.2f}"),
    ("p90 ms", "shift90", "{:.2f}"),
    ("NCC", "ncc", "{:.3f}"),
    ("pre dB", "pre", "{:.2f}"),
    ("sharp dB", "sharp", "{:+.2f}"),
    ("rise ms", "rise", "{:.2f}"),
    ("rise p90", "rise90", "{:.2f}"),
    ("warble dB", "warble", "{:+.2f}"),
    ("L/R dB", "image", "{:.2f}"),
    ("coherence", "coherence", "{:.3f}"),
)


def show_pieces(rows):
    means = {}
    for name, items in rows.items():
        means[name] = {}
        for title, key, text in PIECE_COLUMNS:
            values = [v for v in (mean_of(f, key) for f in items.values()) if not np.isnan(v)]
            if values:
                means[name][title] = text.format(np.mean(values))
    show("Pieces, mean of all", means, [c[0] for c in PIECE_COLUMNS])
    columns = list(next(iter(rows.values())))
    for title, key, text in PIECE_COLUMNS:
        if key in ("mel", "onset", "shift90", "ncc", "rise90", "warble", "pre", "sharp"):
            show(f"Pieces: {title}", cells(rows, lambda f: mean_of(f, key), text), columns)


HIT_ROWS = (
    ("worst error, ms", "worst", "{:.2f}"),
    ("median error, ms", "median", "{:.3f}"),
    ("correlation", "ncc", "{:.3f}"),
    ("share below half", "weak", "{:.2f}"),
    ("share heard twice", "twice", "{:.2f}"),
)


def show_hits(title, rows):
    """Prints hits by kind of sound, which is the first word of an item's name."""
    items = list(dict.fromkeys(i for figures in rows.values() for i in figures))
    for kind in dict.fromkeys(i.split()[0] for i in items):
        mine = [i for i in items if i.split()[0] == kind]
        for what, key, text in HIT_ROWS:
            table = {
                n: {i.split(maxsplit=1)[1]: c for i, c in row.items() if i in mine}
                for n, row in cells(rows, lambda f: f[key], text).items()
            }
            show(f"{title}, {kind}: {what}", table, [i.split(maxsplit=1)[1] for i in mine])


def show_all(results):
    """Prints all sections."""
    if "pieces" in results:
        show_pieces(results["pieces"])
    if "mixes" in results:
        rows = results["mixes"]
        keys = list(next(iter(next(iter(rows.values())).values())))
        means = {n: {k: f"{np.mean([f[k] for f in items.values()]):.3f}" for k in keys} for n, items in rows.items()}
        show("Mixes, mean of all", means, keys)
        for key in ("mel 1.1", "mel2048 1.1", "shift90 1.1", "round mel"):
            show(f"Mixes: {key}", cells(rows, lambda f: f[key], "{:.2f}"), list(next(iter(rows.values()))))
    if "voices" in results:
        rows = results["voices"]
        show("Formants: shift in semitones", cells(rows, lambda f: f, "{:.1f}"), list(next(iter(rows.values()))))
    pairs = (
        ("chord", "snr", "Chord under hi-hats (ms between hats): near the tones against the rest, dB"),
        ("chord", "steady", "Chord under hi-hats: amplitude of the tones against its deviations, dB"),
        ("low", "pure", "Low tones (Hz), dB"),
        ("low", "rich", "Low tones with overtones, dB"),
    )
    for section, key, title in pairs:
        if section in results:
            rows = results[section]
            show(title, cells(rows, lambda f: f[key], "{:.1f}"), list(next(iter(rows.values()))))
    for section, title in (("rolls", "Rolls (ms between hits)"), ("snare", "Snare under guitars (dB above them)")):
        if section in results:
            show_hits(title, results[section])
    if "onsets" in results:
        rows = results["onsets"]
        for key, title in (("recall", "all"), ("drums", "drums"), ("false", "false positives")):
            show(
                f"Onset detection, percent: {title}",
                cells(rows, lambda f: 100 * f[key], "{:.0f}"),
                list(next(iter(rows.values()))),
            )


def add_options(parser):
    group = parser.add_argument_group("music")
    group.add_argument("--sections", help=f"measure only these, of {','.join(SECTIONS)}")
    group.add_argument("--pieces", help="use only pieces whose names contain one of these texts, separated by commas")
    group.add_argument("--speeds", help="speeds of the pieces, of 0.8,0.9,1.1,1.25 (all)")
    group.add_argument("--material", default="/tmp/grooved-quality", help="folder in which rendered pieces are kept")
    group.add_argument("--onsets", metavar="COMMAND", help="detector that prints the onsets of a WAV file in seconds")
    group.add_argument("--json", metavar="FILE", help="write all figures to this file")
    group.add_argument(
        "--with", dest="old", metavar="FILE", help="add the figures of engines not run, from such a file"
    )
    group.add_argument("--jobs", type=int, default=2, help="number of processes")


def check_options(parser, options):
    """Replaces the texts of the options by lists."""
    options.sections = options.sections.split(",") if options.sections else list(SECTIONS)
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"unknown sections: {', '.join(unknown)}")
    options.speeds = [float(s) for s in options.speeds.split(",")] if options.speeds else list(SPEEDS)
    if not set(options.speeds) <= set(SPEEDS):
        parser.error(f"speeds are of {SPEEDS}")
    wanted = options.pieces.split(",") if options.pieces else [""]
    options.pieces = [n for n in pieces.all_pieces() if any(w in n for w in wanted)]


def main(program, options):
    results = run(program, options)
    if options.old:
        with open(options.old) as f:
            results = merge(results, json.load(f))
    if options.json:
        with open(options.json, "w") as f:
            json.dump(results, f, indent=1)
    show_all(results)
