#!/usr/bin/env python3
"""Runs 'grooved play-set' in place of the older set player, for scripts that start it by name.

Put a link to this file, or a copy, where the older mixer_tracks.py was. All of its flags are accepted, may be
abbreviated and have their older defaults. As before, a daemon that runs at --host and --port plays the set;
--print-playlist needs none. All other flags of 'grooved play-set' may be used too; with --render or --dry-run, --host
and --port have no effect. If the program is not in the path, set GROOVED to its file name.

The older random order is --order energy; without --seed, the seed is random and is printed, so that the order can be
repeated. Movement and tempo belong to the daemon: flags for them are checked and otherwise ignored.

This process becomes grooved (exec) under the older command line, as audio_server.py describes.
"""
import argparse
import os
import random
import shutil
import sys

# Flags of movement, tempo and fades: type, older default, and what sets the same in grooved.toml, if anything does.
DAEMONS = {
    "--movement-host": (str, "0.0.0.0", ["osc.bind"]),
    "--movement-port": (int, 57120, ["osc.ports"]),
    "--movement-interval": (float, 0.5, ["movement.window_s"]),
    "--movement-threshold": (float, 0.02, []),
    "--tempo-base": (float, 120.0, ["mixer.bpm"]),
    "--tempo-range": (float, 10.0, ["movement.steps", "movement.line"]),
    "--tempo-scale": (float, 20.0, ["movement.steps", "movement.line"]),
    "--tempo-step": (float, 0.2, []),
    "--tempo-interval": (float, 30.0, ["movement.glide_s"]),
    "--xfade-steps": (int, 40, []),
}


def program():
    """Returns the program: GROOVED, or grooved from the path or its default location."""
    path = shutil.which(os.environ.get("GROOVED") or "grooved") or os.environ.get("GROOVED") or "/usr/bin/grooved"
    if not os.path.isfile(path) or not os.access(path, os.X_OK):
        sys.exit(f"mixer_tracks.py: '{path}' is not executable; install grooved, or set GROOVED to its file name")
    return path


def tell(text):
    print(f"mixer_tracks.py: {text}", file=sys.stderr, flush=True)


def parser():
    """Returns the parser of the older flags, which also completes abbreviated ones."""
    result = argparse.ArgumentParser(
        prog="mixer_tracks.py",
        description="Plays a set, the table of parts that 'grooved sections' writes, on a daemon (grooved play-set).",
        epilog="All other flags of 'grooved play-set' may be used too, for example --order, --limit and --render.",
    )
    add = result.add_argument
    add("--host", default="127.0.0.1", help="where the daemon runs (127.0.0.1)")
    add("--port", type=int, default=57120, help="OSC port of the daemon (57120)")
    add("--csv", default="track_data_Cm-Gm_122-d3.csv", help="table of parts (track_data_Cm-Gm_122-d3.csv)")
    add("--preload-offset", type=float, help="seconds by which a part is loaded before it begins")
    add("--seed", type=int, help="seed of the random order")
    add("--print-playlist", action="store_true", help="write and print what would be played, and play nothing")
    add("--playlist-csv", help="file for what was played (playlist_operational.csv)")
    for flag, (kind, default, settings) in DAEMONS.items():
        there = f"; grooved.toml: {', '.join(settings)}" if settings else ""
        add(flag, type=kind, default=default, help=f"ignored{there}")
    return result


def tell_ignored(flags):
    """Says which flags have no effect, and which settings of the daemon take their place."""
    changed, places = [], []
    for flag, (_, default, settings) in DAEMONS.items():
        if getattr(flags, flag[2:].replace("-", "_")) != default:
            changed.append(flag)
            places += [place for place in settings if place not in places]
    if changed:
        tell(f"{', '.join(changed)}: ignored; the daemon itself follows movement, sets the tempo and fades: see "
             f"{', '.join(places) or '[movement]'} in grooved.toml")


def order(flags):
    """Returns the flags of the older random order."""
    seed = flags.seed
    if seed is None:
        seed = random.SystemRandom().randrange(1 << 32)
        tell(f"--seed {seed} repeats this order")
    return ["--order=energy", f"--seed={seed % (1 << 32)}"]


def translated(arguments):
    """Returns the arguments of 'grooved play-set' for those of the older player."""
    flags, others = parser().parse_known_args(arguments)
    names = {other.partition("=")[0] for other in others}
    tell_ignored(flags)
    # A file name that begins with '-' is no flag.
    result = [os.path.join(".", flags.csv) if flags.csv.startswith("-") else flags.csv]
    if "--order" not in names:
        result += order(flags)
    elif flags.seed is not None:
        result.append(f"--seed={flags.seed % (1 << 32)}")
    is_offline = bool(names & {"--render", "--dry-run"})
    preload, to = flags.preload_offset, flags.playlist_csv
    if flags.print_playlist:
        # The timetable begins after the older player's second.
        preload = 1.0 if preload is None else preload
        result += [] if "--dry-run" in names else ["--dry-run"]
    elif not is_offline:
        host = "127.0.0.1" if flags.host in ("0.0.0.0", "::") else flags.host
        result += [f"--host={host}", f"--port={flags.port}"]
    if preload is not None:
        # A negative time meant: at once.
        result.append(f"--preload={0.0 if preload < 0.0 else preload!r}")
    if to is None and (flags.print_playlist or not is_offline):
        to = "playlist_operational.csv"
    if to is not None and "--playlist-out" not in names:
        if os.path.isfile(flags.csv):
            make_folder(os.path.dirname(to))
        result.append(f"--playlist-out={to}")
    return result + others


def make_folder(path):
    """Makes the folder of the playlist, as the older player did; if that fails, grooved says so."""
    try:
        os.makedirs(path or ".", exist_ok=True)
    except OSError:
        pass


if __name__ == "__main__":
    given = translated(sys.argv[1:])
    os.execv(program(), [f"python3 {os.path.abspath(__file__)}", "play-set"] + given)
