# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.control.policies.corrector import OnnxCorrector
from lowlat_nodes.control.policies.exported import ExportedPolicy
from lowlat_nodes.control.policies.policy import Observation
from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.sim.kinematics import JOINT_NAMES
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train import policy

torch = pytest.importorskip("torch")
for module in ("onnx", "onnxruntime", "mujoco", "cv2"):
    pytest.importorskip(module)
pytestmark = [pytest.mark.torch, pytest.mark.sim, pytest.mark.slow]

CHUNK = {"image", "tokens", "state", "noise"}
INPUTS = {
    "base": CHUNK | {"decided", "weights", "jacobian"},
    "vlash": CHUNK,
    "vlash_last_action": CHUNK,
    "delay": CHUNK | {"delay"},
    "prefix": CHUNK | {"decided", "weights"},
    "corrector_base": {"image", "tokens", "state", "planned", "age"},
    "corrector_delay": {"image", "tokens", "state", "planned", "age"},
}
SMALL = ["--images", "60", "--steps", "2", "--variant-steps", "2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    threads = torch.get_num_threads()
    out = tmp_path_factory.mktemp("trained")
    assert policy.main(["--out", str(out), "--seed", "3", "--ship", str(out / "shipped"), *SMALL]) == 0
    yield out / "seed3"
    torch.set_num_threads(threads)


def _feed(model: OnnxModel, batch: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    shapes = {
        "image": (120, 160, 3),
        "tokens": (12,),
        "features": (64,),
        "state": (6,),
        "noise": (32, 3),
        "delay": (1,),
        "decided": (32, 3),
        "weights": (32,),
        "jacobian": (1,),
        "planned": (4, 3),
        "age": (1,),
    }
    feed = {}
    for name in model.inputs:
        if name == "image":
            feed[name] = random.integers(0, 256, (batch, *shapes[name]), dtype=np.uint8)
        elif name == "tokens":
            feed[name] = random.integers(1, 99, (batch, *shapes[name]))
        else:
            feed[name] = random.random((batch, *shapes[name])).astype(np.float32)
    if "weights" in feed:
        feed["weights"] = (np.arange(32) < 5).astype(np.float32)[None].repeat(batch, axis=0)
    return feed


@pytest.mark.parametrize("name", INPUTS)
def test_every_variant_ends_in_a_file_that_takes_batches(trained: Path, name: str) -> None:
    model = OnnxModel(trained / f"{name}.onnx")
    assert set(model.inputs) == INPUTS[name]
    (output,) = model.outputs
    assert output == ("correction" if name.startswith("corrector") else "actions")
    feed = _feed(model, 3)
    (together,) = model.run(feed, [output])
    assert together.shape == ((3, 3) if output == "correction" else (3, 32, 3))
    assert np.isfinite(together).all()
    alone = [
        model.run({key: value[row : row + 1] for key, value in feed.items()}, [output])[0][0]
        for row in range(3)
    ]
    assert together == pytest.approx(np.array(alone), abs=1e-5)


@pytest.mark.parametrize("name", INPUTS)
def test_encoder_and_head_apart_do_the_same(trained: Path, name: str) -> None:
    whole, encoder, head = (
        OnnxModel(trained / file) for file in (f"{name}.onnx", "parts/encoder.onnx", f"parts/{name}.onnx")
    )
    feed = _feed(whole, 2)
    (features,) = encoder.run({key: feed.pop(key) for key in ("image", "tokens")}, ["features"])
    (apart,) = head.run({"features": features, **feed}, list(head.outputs))
    (expected,) = whole.run(_feed(whole, 2), list(whole.outputs))
    assert apart == pytest.approx(expected, abs=1e-5)


def test_decided_rows_come_out_as_they_went_in(trained: Path) -> None:
    model = OnnxModel(trained / "prefix.onnx")
    assert model.metadata["decided_as"] == "prefix"
    feed = _feed(model, 2)
    (actions,) = model.run(feed, ["actions"])
    assert np.array_equal(actions[:, :5], feed["decided"][:, :5])
    # The rest of `decided` may be anything.
    feed["decided"][:, 5:] = 1e6
    assert np.array_equal(model.run(feed, ["actions"])[0], actions)
    # Other decided rows make another rest.
    feed["decided"][:, :5] += 0.3
    assert np.abs(model.run(feed, ["actions"])[0] - actions)[:, 5:].max() > 1e-4


def test_without_weights_guidance_changes_nothing(trained: Path) -> None:
    model = OnnxModel(trained / "base.onnx")
    assert model.metadata["decided_as"] == "guidance"
    feed = _feed(model, 2)
    (guided,) = model.run(feed, ["actions"])
    feed["weights"][:] = 0.0
    (free,) = model.run(feed, ["actions"])
    feed["decided"][:] = -7.0
    feed["jacobian"][:] = 0.0
    assert np.array_equal(model.run(feed, ["actions"])[0], free)
    assert np.abs(guided - free).max() > 1e-4


def test_the_control_side_takes_the_files(trained: Path) -> None:
    policies = {name: ExportedPolicy(trained / f"{name}.onnx") for name in INPUTS if "corrector" not in name}
    for name, one in policies.items():
        assert one.batched
        assert one.spec.joints == JOINT_NAMES
        random = np.random.default_rng(0)
        chunk = one.infer(
            Observation(
                np.zeros(6, np.float32),
                {"image": random.integers(0, 256, (120, 160, 3), dtype=np.uint8)},
                "insert the peg",
                0,
                3.5,
                np.zeros((20, 3)),
                4,
            )
        )
        assert chunk.shape == (32, 3)
        assert (np.abs(chunk[:4]).max() < 1e-6) == (name == "prefix")
        if f"corrector_{name}" in INPUTS:
            corrector = OnnxCorrector(trained / f"corrector_{name}.onnx", one.spec)
            assert corrector.spec.horizon == 4


def test_the_files_say_what_they_are(trained: Path) -> None:
    for name in INPUTS:
        metadata = OnnxModel(trained / f"{name}.onnx").metadata
        assert metadata["contract"] == ("lowlat-corrector-1" if "corrector" in name else "lowlat-policy-1")
        assert metadata["action_dt_ns"] == "20000000"
        assert metadata["max_offset_steps"] == "10"


def test_a_run_that_was_cut_goes_on(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = OnnxModel(trained / "delay.onnx")
    feed = _feed(before, 1)
    (trained / "checkpoints" / "delay.npz").unlink()
    arguments = ["--out", str(trained.parent), "--seed", "3", *SMALL, "--variant", "corrector_delay"]
    assert policy.main(arguments) == 0
    said = capsys.readouterr().err
    assert "delay: step 2 of 2" in said
    assert "first stage: step" not in said
    assert "corrector_delay: step" not in said
    (again,) = OnnxModel(trained / "delay.onnx").run(feed, ["actions"])
    assert again == pytest.approx(before.run(feed, ["actions"])[0], abs=1e-5)


@pytest.mark.parametrize("name", ["vlash", "corrector_base"])
def test_shipped_files_are_half_as_large_and_nearly_the_same(trained: Path, name: str) -> None:
    whole, small = trained / f"{name}.onnx", trained.parent / "shipped" / f"table_{name}.onnx"
    assert small.stat().st_size < 0.7 * whole.stat().st_size
    models = OnnxModel(whole), OnnxModel(small)
    exact, rounded = (model.run(_feed(model, 2), list(model.outputs))[0] for model in models)
    assert rounded == pytest.approx(exact, abs=5e-3)
    assert models[0].metadata == models[1].metadata


def test_the_card_names_the_shipped_files(trained: Path) -> None:
    shipped = trained.parent / "shipped"
    card = (shipped / "table.md").read_text(encoding="utf-8")
    assert {path.stem for path in shipped.glob("*.onnx")} == {f"table_{name}" for name in INPUTS}
    for path in shipped.glob("*.onnx"):
        assert f"{path.name}: {hashlib.sha256(path.read_bytes()).hexdigest()}" in card
        assert path.stem in card.partition("# table")[2]
    assert "lowlat train policy --seed 3 --images 60 --steps 2 --variant-steps 2" in card


def test_a_variant_that_does_not_exist_is_refused_with_the_right_name() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'vlash_last_action'"):
        policy.main(["--variant", "vlash_last_acton"])


def test_only_all_variants_are_shipped(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        policy.main(["--variant", "base", "--ship", str(tmp_path)])
    assert not list(tmp_path.iterdir())
