"""The converter, on a file of the published shape with random weights: `make test-models`."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx

HERE = Path(__file__).resolve().parent
CONVERT = HERE.parent / "convert.py"
sys.path.insert(0, str(HERE.parent))

from trainer.running import Running  # noqa: E402


def convert(*arguments):
    return subprocess.run([sys.executable, str(CONVERT), *map(str, arguments)], capture_output=True, text=True)


class Converting(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.model = Path(cls.folder.name) / "Random.tflite"
        made = subprocess.run([sys.executable, str(HERE / "published_shape.py"), str(cls.model)], capture_output=True, text=True)
        assert cls.model.exists(), made.stderr

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def damaged(self, name, change):
        content = bytearray(self.model.read_bytes())
        path = Path(self.folder.name) / name
        path.write_bytes(change(content))
        return path

    def test_a_model_of_the_published_shape_becomes_an_instrument(self):
        self.assertGreater(self.model.stat().st_size, 7_000_000)
        done = convert(self.model, "--licence", "CC0", "--name", "random")
        self.assertEqual(done.returncode, 0, done.stderr)
        apart = float(done.stdout.split("at most ")[1].split(" ")[0])
        self.assertLess(apart, 1e-5)
        model = onnx.load(self.model.with_suffix(".onnx"))
        said = {p.key: p.value for p in model.metadata_props}
        self.assertEqual([said[f"grooved.{k}"] for k in ("sample_rate", "hop", "harmonics", "noise_bands", "state")],
                         ["16000", "320", "60", "65", "512"])
        self.assertNotIn("Loop", {node.op_type for node in model.graph.node})
        running = Running(str(self.model.with_suffix(".onnx")))
        # As the original does it: partials from 8 kHz on are silent, the others' shares make 1.
        amplitude, distribution, noise = running.step(93 / 127, 0.8)
        self.assertEqual(float(np.abs(distribution[5:]).max()), 0.0)
        self.assertAlmostEqual(float(distribution.sum()), 1.0, places=4)
        self.assertTrue(amplitude > 0 and (noise > 0).all())

    def test_what_can_not_be_converted_gets_one_line(self):
        cases = (
            (Path("/nowhere/Violin.tflite"), "No such file"),
            (self.damaged("text.tflite", lambda c: b"not a model at all"), "no TensorFlow Lite model"),
            (self.damaged("cut.tflite", lambda c: c[:3000]), "damaged"),
            (self.damaged("names.tflite", lambda c: c.replace(b"call_f0_scaled", b"call_g0_scaled")), "call_f0_scaled"),
        )
        for path, wanted in cases:
            done = convert(path)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(wanted, done.stderr)
            self.assertEqual(done.stderr.strip().count("\n"), 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
