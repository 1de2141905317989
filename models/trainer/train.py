"""Training in two stages, resumable at any step.

First the network learns the controls that `analysis` measured, which is cheap and finds the tone; then it is
judged by its sound, with the multi-scale spectral loss, which minds what the ear minds. Both stages hear phrases from
`sequence`, keep a running average of the weights, and stop when the notes held out for that no longer improve.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from . import contract, loss, synth
from .net import Decoder
from .sequence import Composer

FAINT = math.exp(-10.4)  # 90 dB under the level asked for
SEED = 20


@dataclass(frozen=True)
class Stage:
    name: str
    steps: int
    batch: int
    frames: int
    rate: float
    look_every: int
    patience: int


CONTROLS = Stage("controls", 2400, 24, 200, 3e-3, 200, 5)
SOUND = Stage("sound", 400, 4, 100, 4e-4, 50, 5)
AVERAGE = 0.99


def stages_of(steps):
    """Both stages, for a number of steps in the first."""
    share = steps / CONTROLS.steps
    look = max(1, min(CONTROLS.look_every, steps // 8))
    sound = max(1, round(SOUND.steps * share))
    return (
        replace(CONTROLS, steps=steps, look_every=look),
        replace(SOUND, steps=sound, look_every=max(1, min(SOUND.look_every, sound // 4))),
    )


def target_logs(amplitudes, noise, loudness):
    """Natural logarithms of measured controls against the level asked for, as the network gives them."""
    level = contract.gain_of_loudness(loudness)[..., None]
    return torch.log(torch.cat([amplitudes, noise], dim=-1) / level.clamp_min(1e-6) + FAINT)


def control_loss(logs, wanted, loudness):
    """Mean distance of logarithms; what is loud counts up to four times as much, silence not at all."""
    made = torch.log(torch.exp(logs) + FAINT)
    weight = 0.25 + 0.75 * ((wanted + 9.2) / 9.2).clamp(0.0, 1.0)
    weight = weight * (loudness > 0.15).unsqueeze(-1)
    return ((made - wanted).abs() * weight).sum() / weight.sum().clamp_min(1.0)


class Trainer:
    """One instrument on its way. Everything that a stopped machine would lose lies in the checkpoint."""

    def __init__(self, material, shape, folder, say, stages):
        self.material, self.shape, self.say, self.stages = material, shape, say, stages
        self.path = Path(folder) / "checkpoint.pt"
        self.composer = Composer(material.of("train"))
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.net, self.average = Decoder(shape, SEED).to(self.device), Decoder(shape, SEED).to(self.device)
        self.stage, self.step, self.done = 0, 0, False
        self.best, self.best_step, self.best_weights = math.inf, 0, self.average.state_dict()
        self.history = []
        self.begin_stage()
        if self.path.exists():
            self.load()

    def begin_stage(self):
        rate = self.stages[self.stage].rate if self.stage < len(self.stages) else 0.0
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=rate)

    def save(self):
        scratch = self.path.with_suffix(".part")
        torch.save({
            "shape": self.shape.to_json(), "material": self.material.fingerprint, "net": self.net.state_dict(), "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(), "stage": self.stage, "step": self.step, "done": self.done,
            "best": self.best, "best_step": self.best_step, "best_weights": self.best_weights, "history": self.history,
        }, scratch)
        scratch.replace(self.path)

    def load(self):
        kept = torch.load(self.path, weights_only=True, map_location=self.device)
        if kept["shape"] != self.shape.to_json() or kept.get("material") != self.material.fingerprint:
            self.say("the checkpoint is of another shape, or of other recordings: beginning anew")
            return
        self.stage, self.step, self.done = kept["stage"], kept["step"], kept["done"]
        self.begin_stage()
        self.net.load_state_dict(kept["net"])
        self.average.load_state_dict(kept["average"])
        self.optimiser.load_state_dict(kept["optimiser"])
        self.best, self.best_step, self.best_weights = kept["best"], kept["best_step"], kept["best_weights"]
        self.history = kept["history"]
        self.say(f"going on at step {self.step} of stage {self.stage + 1}" if not self.done else "trained already")

    def run(self):
        """Trains to the end; what comes out is `best_weights`, in a `Decoder`."""
        while not self.done:
            stage = self.stages[self.stage]
            for group in self.optimiser.param_groups:
                group["lr"] = stage.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * self.step / stage.steps)))
            self.optimiser.zero_grad()
            made = self.lesson(stage)
            made.backward()
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), 3.0)
            self.optimiser.step()
            self.step += 1
            with torch.no_grad():
                for slow, fast in zip(self.average.parameters(), self.net.parameters()):
                    slow.lerp_(fast, 1.0 - min(AVERAGE, self.step / (self.step + 10)))
            if self.step % stage.look_every == 0 or self.step >= stage.steps:
                self.look(stage, float(made.detach()))
                self.save()
        out = Decoder(self.shape, SEED)
        out.load_state_dict({name: value.cpu() for name, value in self.best_weights.items()})
        return out

    def tensors(self, items):
        return [torch.as_tensor(np.stack(column), dtype=torch.float32, device=self.device) for column in zip(*items)]

    def lesson(self, stage):
        """The loss of one batch; batch n is the same in every run."""
        composer = self.composer
        composer.seed((SEED, self.stage, self.step))
        if stage.name == "controls":
            pitch, loudness, amplitudes, noise = self.tensors([composer.controls(stage.frames) for _ in range(stage.batch)])
            logs, _ = self.net(pitch, loudness)
            return control_loss(logs, target_logs(amplitudes, noise, loudness), loudness)
        pitch, loudness, amplitudes, noise, sound = self.tensors([composer.phrase(stage.frames) for _ in range(stage.batch)])
        logs, _ = self.net(pitch, loudness)
        of_controls = control_loss(logs, target_logs(amplitudes, noise, loudness), loudness)
        made_amplitudes, made_noise = self.net.controls(logs, loudness)
        midi = pitch * 127.0
        made = synth.partials(made_amplitudes, synth.sines(midi, self.shape.harmonics))
        made = made + synth.noise(made_noise, synth.white_noise(stage.batch, stage.frames, self.step).to(self.device))
        return loss.loss(made, sound[:, : made.shape[1]]) + 0.5 * of_controls

    def look(self, stage, last):
        """How well the averaged weights do on the notes held out to stop by."""
        with torch.no_grad():
            found = [self.judged(note, stage) for note in self.material.of("valid")[:48]]
        now = float(np.mean(found))
        better = now < self.best
        if better:
            self.best, self.best_step = now, self.step
            self.best_weights = {k: v.clone() for k, v in self.average.state_dict().items()}
        self.history.append((self.stage, self.step, last, now))
        self.say(f"{stage.name} {self.step:5d}/{stage.steps}: loss {last:.3f}, held out {now:.3f}{' *' if better else ''}")
        if self.step >= stage.steps or self.step - self.best_step >= stage.patience * stage.look_every:
            self.next_stage()

    def next_stage(self):
        self.net.load_state_dict(self.best_weights)
        self.average.load_state_dict(self.best_weights)
        self.stage, self.step, self.best_step, self.best = self.stage + 1, 0, 0, math.inf
        self.done = self.stage >= len(self.stages)
        self.begin_stage()

    def judged(self, note, stage):
        pitch, loudness, amplitudes, noise = self.tensors(
            [(contract.scale_pitch(note.midi), note.loudness, note.amplitudes, note.noise)]
        )
        logs, _ = self.average(pitch, loudness)
        if stage.name == "controls":
            return float(control_loss(logs, target_logs(amplitudes, noise, loudness), loudness))
        amplitudes, noise = self.average.controls(logs, loudness)
        made = synth.render(note.midi, amplitudes[0].cpu(), noise[0].cpu())
        count = min(len(made), len(note.sound))
        return loss.distance_db(made[:count], note.sound[:count])
