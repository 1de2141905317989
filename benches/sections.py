#!/usr/bin/env python3
"""Compares 'grooved sections' with ffmpeg's atempo on the same cuts: time, multiples of real time, peak memory.

    benches/sections.py GROOVED TRACKS [COUNT]

TRACKS is a folder of sounds. Structure files are made up: an intro and two sections at a tempo near 122 BPM. Needs
ffmpeg and ffprobe. The older exporter ran ffmpeg twice per track, for the cut and for the part; so does this.
"""
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".aiff")


def analysis(path, number):
    """Returns a made-up analysis of a track."""
    length = float(subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path],
        capture_output=True, text=True, check=True).stdout)
    times = [0, 0.1 * length, 0.5 * length, 0.8 * length]
    labels = ["intro", "verse", "chorus"]
    segments = [{"start": a, "end": b, "label": label} for a, b, label in zip(times, times[1:], labels)]
    return {"path": os.path.abspath(path), "bpm": 118 + number % 9, "segments": segments}


def ffmpeg(row, folder):
    """Cuts and stretches one row as the older exporter did."""
    begin, end = float(row["ini_cue"]), float(row["end_cue"])
    name = os.path.basename(row["path"])
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-ss", str(begin), "-t", str(end - begin), "-i", row["path"]]
    for filters, suffix in ([[], ".orig.wav"], [["-filter:a", "atempo=" + row["speed"]], ".wav"]):
        subprocess.run(command + filters + ["-c:a", "pcm_s16le", os.path.join(folder, name + suffix)], check=True)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    program, tracks = sys.argv[1], sys.argv[2]
    names = sorted(name for name in os.listdir(tracks) if name.lower().endswith(SUFFIXES))
    names = names[:int(sys.argv[3])] if len(sys.argv) > 3 else names
    if not names:
        sys.exit(f"{tracks}: no sounds; expected files that end with one of {', '.join(SUFFIXES)}")
    with tempfile.TemporaryDirectory() as work:
        os.mkdir(os.path.join(work, "struct"))
        os.mkdir(os.path.join(work, "ffmpeg"))
        for number, name in enumerate(names):
            with open(os.path.join(work, "struct", f"{number:03}.json"), "w", encoding="utf-8") as file:
                json.dump(analysis(os.path.join(tracks, name), number), file)
        table = os.path.join(work, "out.csv")
        begun = time.monotonic()
        run = subprocess.Popen(
            [program, "sections", os.path.join(work, "struct"), "--target-bpm", "122.5", "--n-sections", "2",
             "--csv-out", table, "--parts-dir", os.path.join(work, "parts"), "--progress", "none"],
            stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(run.pid, 0)
        ours = time.monotonic() - begun
        if status != 0:
            sys.exit("the export failed")
        with open(table, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        seconds = sum((float(row["end_cue"]) - float(row["ini_cue"])) / float(row["speed"]) for row in rows)
        begun = time.monotonic()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda row: ffmpeg(row, os.path.join(work, "ffmpeg")), rows))
        theirs = time.monotonic() - begun
    print(f"{len(rows)} parts, {seconds:.0f} s, on {os.cpu_count()} processors")
    print(f"{'':<24}{'s':>8}{'x real time':>14}")
    print(f"{'grooved sections (hq)':<24}{ours:>8.2f}{seconds / ours:>14.0f}   peak memory {usage.ru_maxrss / 1024:.0f} MB")
    print(f"{'ffmpeg atempo':<24}{theirs:>8.2f}{seconds / theirs:>14.0f}")


if __name__ == "__main__":
    main()
