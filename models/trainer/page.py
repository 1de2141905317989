"""Writes the tables of ../README.md from the files themselves: `make models-page`.

The sizes come from trainings with `--size-only` of one instrument, as far as they lie in the work folder.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import onnx

HERE = Path(__file__).resolve().parent.parent


def said_by(path):
    return {p.key.removeprefix("grooved."): p.value for p in onnx.load(path).metadata_props}


def instruments():
    rows = ["| instrument | pitches (MIDI) | kB | closed | attack closed | page |", "|---|---|---|---|---|---|"]
    for path in sorted(HERE.glob("*.onnx")):
        said = said_by(path)
        figures = json.loads(said["figures"])
        title = path.with_suffix(".md").read_text().splitlines()[0].lstrip("# ")
        low, high = (f"{float(p):.0f}" for p in said["pitch_range"].split())
        rows.append(
            f"| {title} (`{path.stem}`) | {low} to {high} | {path.stat().st_size / 1000:.0f} | {figures['distance_db']['closed_percent']:.0f} % "
            f"| {figures['attack_db']['closed_percent']:.0f} % | [{path.stem}.md]({path.stem}.md) |"
        )
    return rows


def sizes(work, grooved):
    rows = ["| GRU | parameters | kB | distance | closed | attack closed | a step |", "|---|---|---|---|---|---|---|"]
    for path in sorted(Path(work).glob("gru*/model.onnx"), key=lambda p: int(p.parent.name[3:])):
        figures = json.loads((path.parent / "figures.json").read_text())
        checked = subprocess.run([grooved, "check-model", path], capture_output=True, text=True, check=True).stdout
        step = re.search(r"a step takes ([\d.]+) us", checked)[1]
        rows.append(
            f"| {path.parent.name[3:]} | {figures['parameters']} | {path.stat().st_size / 1000:.0f} | {figures['distance_db']['instrument']:.2f} dB "
            f"| {figures['distance_db']['closed_percent']:.1f} % | {figures['attack_db']['closed_percent']:.1f} % | {float(step):.0f} us |"
        )
    return rows


def main():
    work, grooved = sys.argv[1], sys.argv[2]
    page = HERE / "README.md"
    text = page.read_text()
    for name, rows in (("instruments", instruments()), ("sizes", sizes(work, grooved))):
        if len(rows) > 2:
            text = re.sub(rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda m: m[1] + "\n".join(rows) + "\n" + m[2], text, flags=re.S)
    page.write_text(text)


main()
