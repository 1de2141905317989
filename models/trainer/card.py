"""A model's page and its pictures."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from . import contract, synth

PICTURED = 4


def pictured(notes):
    """A few held-out notes over the range, soft ones and loud ones by turns."""
    steady = sorted((n for n in notes if n.steady and n.frames > 50), key=lambda n: n.midi_named)
    chosen = []
    for i in range(PICTURED):
        group = steady[i * len(steady) // PICTURED : (i + 1) * len(steady) // PICTURED]
        if group:
            loudest = max(group, key=lambda n: np.percentile(n.loudness, 80))
            softest = min(group, key=lambda n: np.percentile(n.loudness, 80))
            chosen.append(loudest if i % 2 == 0 else softest)
    return chosen


@np.errstate(divide="ignore")
def picture(notes, running, path):
    """Held-out recordings above, the instrument's rendering of the same pitch and loudness below."""
    chosen = pictured(notes)
    figure, axes = plt.subplots(2, len(chosen), figsize=(4 * len(chosen), 6.4), squeeze=False, sharey=True)
    for column, note in enumerate(chosen):
        made = synth.render(note.midi, *running.controls(note.midi, note.loudness))
        peak = 20 * np.log10(np.abs(note.sound).max() + 1e-9)
        for row, sound in enumerate((note.sound[: len(made)], made)):
            axis = axes[row][column]
            axis.specgram(sound + 1e-9, NFFT=1024, Fs=contract.SAMPLE_RATE, noverlap=768, cmap="magma",
                          vmin=peak - 130, vmax=peak - 30)
            axis.set_ylim(0, 16_000)
            axis.set_title(f"{note.name}" if row == 0 else "instrument", fontsize=8)
            axis.tick_params(labelsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=60)
    plt.close(figure)
    # The colours of one map fit into a palette, which makes the file a third as large.
    Image.open(path).convert("RGB").quantize(48).save(path, optimize=True)


def write(path, profile, facts, figures, checks, remarks):
    """The page in Markdown. `profile` is what `profiles.toml` says, `facts` what the file says of itself."""
    name = path.stem
    whole, attack = figures["distance_db"], figures["attack_db"]
    lines = [
        f"# {profile['title']}", "",
        f"![held-out recordings and the instrument]({name}.png)", "",
        "Above: recordings that were held out. Below: the instrument at the same pitch and loudness. 0 to 16 kHz.", "",
        "| | |", "|---|---|",
        *[f"| {key} | {value} |" for key, value in facts], "",
        "## Figures", "",
        f"On {figures['held_out_notes']} held-out recordings ({figures['held_out_seconds']:.0f} s): all recordings of a pitch at a "
        "dynamic are held out together. Multi-scale log-spectral distance in dB, less is better:", "",
        "| | whole notes | first 80 ms |", "|---|---|---|",
        *[f"| {label} | {whole[key]:.2f} | {attack[key]:.2f} |" for label, key in (
            ("ceiling: the recording's own partials and noise", "ceiling"), ("**the instrument**", "instrument"),
            ("static: mean partials and noise at the right pitch", "static"),
            ("floor: noise with the mean spectrum", "floor"))],
        f"| **closed from floor to ceiling** | **{whole['closed_percent']:.0f} %** | **{attack['closed_percent']:.0f} %** |",
        f"| closed from static to ceiling | {whole['closed_percent_of_static']:.0f} % | {attack['closed_percent_of_static']:.0f} % |",
        "", "## Sanity", "", "| promise | found | |", "|---|---|---|",
        *[f"| {promise} | {found} | {'holds' if good else '**FAILS**'} |" for promise, found, good in checks], "",
    ]
    if profile.get("heard"):
        lines += ["## What is right and what is wrong, by spectrogram", "", profile["heard"].strip(), ""]
    lines += ["## Where it comes from", "", profile["provenance"].strip(), ""]
    if remarks:
        lines += ["Said while the recordings were read:", "", *[f"- {r}" for r in remarks], ""]
    path.write_text("\n".join(lines))
