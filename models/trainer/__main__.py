"""`python -m trainer flute --recordings FOLDER`: see ../README.md."""

import argparse
import datetime
import json
import os
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent


def profile_of(name):
    """What is known of an instrument beforehand; a plain profile for one of your own."""
    with open(HERE / "profiles.toml", "rb") as file:
        profiles = tomllib.load(file)
    return {**profiles["own"], "title": name.replace("_", " ").capitalize(), **profiles.get(name, {})}


def arguments():
    parser = argparse.ArgumentParser(prog="trainer", description="Recordings of notes in, a playable instrument out.")
    parser.add_argument("instrument", help="its name: flute, or one of your own (letters, digits, _)")
    parser.add_argument("--recordings", help="folder, or .tar, of recordings")
    parser.add_argument("--work", default="target/models", help="where unfinished work is kept [default: %(default)s]")
    parser.add_argument("--out", default=str(HERE), help="where the model goes [default: models]")
    parser.add_argument("--hidden", type=int, help="width of the GRU, 8 to 256 [default: the profile's]")
    parser.add_argument("--harmonics", type=int, help="partials, 8 to 200 [default: the profile's]")
    parser.add_argument("--steps", type=int, default=2400, help="steps of training, 8 to 100000 [default: %(default)s]")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads [default: all]")
    parser.add_argument("--fresh", action="store_true", help="forget unfinished work and begin anew")
    parser.add_argument("--size-only", action="store_true", help="train into a folder of its own and print figures: for the trade-off")
    given = parser.parse_args()
    if not given.instrument.replace("_", "").isalnum() or given.instrument == "own":
        parser.error(f"instrument: '{given.instrument}' won't do as a name: letters, digits and _, such as my_flute")
    for what, least, most in (("hidden", 8, 256), ("harmonics", 8, 200), ("steps", 8, 100_000)):
        value = getattr(given, what)
        if value is not None and not least <= value <= most:
            parser.error(f"--{what}: {value} is outside {least} to {most}")
    return given


def say(line):
    print(line, flush=True)


def prepared(given, profile, harmonics, work):
    from . import material

    path = work / "notes.npz"
    ready = material.kept(path, harmonics)
    source = given.recordings or os.environ.get("RECORDINGS")
    if ready is not None and source and Path(source).expanduser().exists() and material.fingerprint(source) != ready.fingerprint:
        say("the recordings have changed: they are read again")
        ready = None
    if ready is None:
        if not source:
            from .errors import Unusable

            raise Unusable(f"where are the recordings? RECORDINGS=folder. {profile['source'].strip()}")
        remarks = []

        def remark(line):
            remarks.append(line)
            say(f"  {line}")

        say(f"reading {source}")
        ready = material.prepare(source, harmonics, remark, progress_line("measuring"))
        ready.remarks = remarks
        material.keep(ready, path)
    counts = [len(ready.of(part)) for part in ("train", "valid", "test")]
    say(f"{ready.recorded[1] / 60:.1f} minutes in {ready.recorded[0]} recordings: {counts[0]} notes to learn from, "
        f"{counts[1]} to stop by, {counts[2]} for the figures")
    return ready


def progress_line(what):
    said = -1

    def show(share):
        nonlocal said
        tenth = int(share * 10)
        if tenth != said and sys.stderr.isatty():
            print(f"\r{what} {tenth * 10} %", end="", file=sys.stderr, flush=True)
        said = tenth

    return show


def described(given, profile, ready, shape, figures):
    from . import contract

    quiet, loud = ready.loudness_range_db
    # Recordings of a single dynamic shall not make an instrument of a single dynamic.
    softest = min(quiet, loud - 30.0)
    lowest, highest = ready.pitch_range
    return contract.metadata(
        instrument=given.instrument, sample_rate=contract.SAMPLE_RATE, hop=contract.HOP, harmonics=shape.harmonics,
        noise_bands=shape.bands, state=shape.hidden, pitch_range=f"{lowest:.1f} {highest:.1f}", loudness_range=f"{quiet:.1f} {loud:.1f}",
        loudness_map=f"0:0 0.05:{contract.scale_loudness(softest):.4f} 1:{contract.scale_loudness(loud):.4f}",
        licence=profile["licence"], provenance=" ".join(profile["provenance"].split()),
        date=datetime.date.today().isoformat(), figures=json.dumps(figures, separators=(",", ":")),
    )


def main():
    given = arguments()
    from .errors import Unusable

    try:
        make(given)
    except Unusable as why:
        sys.exit(f"{given.instrument}: {why}")
    except KeyboardInterrupt:
        sys.exit(f"\n{given.instrument}: stopped; the same command goes on from here")


def make(given):
    import torch

    from . import card, graph, measure, net, running, sanity, train, vectors
    from .errors import Unusable

    if given.threads:
        torch.set_num_threads(given.threads)
    profile = profile_of(given.instrument)
    harmonics, hidden = given.harmonics or profile["harmonics"], given.hidden or profile["hidden"]
    work, out = Path(given.work) / given.instrument, Path(given.out)
    checkpoints = work / f"gru{hidden}"
    if given.fresh:
        for path in [work / "notes.npz", checkpoints / "checkpoint.pt"]:
            path.unlink(missing_ok=True)
    ready = prepared(given, profile, harmonics, work)
    checkpoints.mkdir(parents=True, exist_ok=True)
    low, high = (round(p, 1) for p in ready.pitch_range)
    shape = net.Shape(harmonics, hidden, low, high)
    trained = train.Trainer(ready, shape, checkpoints, say, train.stages_of(given.steps)).run()
    weights = net.as_arrays(trained)

    def model(figures):
        return graph.instrument(shape, weights, described(given, profile, ready, shape, figures)).SerializeToString()

    say("measuring on held-out notes")
    figures = measure.figures(ready, running.Running(model({})), progress=progress_line("rendering"))
    figures["parameters"] = net.parameters_of(trained)
    say(json.dumps(figures, indent=2))
    (checkpoints / "figures.json").write_text(json.dumps(figures, indent=2))
    (checkpoints / "model.onnx").write_bytes(model(figures))
    if given.size_only:
        return
    path = out / f"{given.instrument}.onnx"
    bytes_ = model(figures)
    at_work = running.Running(bytes_)
    checks = sanity.checks(at_work, ready.pitch_range, ready.loudness_range_db)
    for promise, found, good in checks:
        say(f"{'holds' if good else 'FAILS'}: {promise}: {found}")
    failed = [promise for promise, _, good in checks if not good]
    if failed:
        raise Unusable(f"it does not keep its promise ({failed[0]}); it is left in {checkpoints / 'model.onnx'}: more and "
                       "more even recordings, or another --hidden, may help")
    out.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes_)
    vectors.write(out / "vectors" / f"{given.instrument}.f32", at_work, ready.pitch_range, ready.loudness_range_db)
    card.picture(ready.of("test"), at_work, out / f"{given.instrument}.png")
    facts = [
        ("file", f"`{path.name}`, {len(bytes_) / 1000:.0f} kB, {figures['parameters']} parameters, GRU of {hidden}"),
        ("sound", f"48 kHz, a step every 10 ms, {harmonics} partials, {shape.bands} noise bands"),
        ("pitches", f"MIDI {low:.0f} to {high:.0f}"),
        ("loudness", "{:.0f} to {:.0f} dBFS".format(*ready.loudness_range_db)),
        ("recordings", f"{ready.recorded[1] / 60:.1f} minutes, {ready.recorded[0]} files"),
        ("licence", profile["licence"]), ("made", datetime.date.today().isoformat()),
    ]
    card.write(out / f"{given.instrument}.md", profile, facts, figures, checks, ready.remarks)
    say(f"made {path}")


main()
