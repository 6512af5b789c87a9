# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A script for the interpreter of LeRobot's environment: loads a checkpoint, and answers one process.

LeRobot pins its dependencies and weighs gigabytes, so it is never imported beside this package.
`LerobotPolicy` has this file run by path; it imports nothing of this package, and of others only what LeRobot
needs itself.

    PYTHON lerobot_server.py OPTIONS DESCRIPTOR

OPTIONS is a JSON map of directory, device, threads, seed and noise_scale. DESCRIPTOR is one end of a pair of
stream sockets, with messages as in `transport.policy.framed`: first a `description`, or `refused` and the
reason; then an `answer` or an `error` to each `request`, until the other end is closed.

Written for LeRobot 0.4.4. A checkpoint may come from strangers: weights are safetensors, never pickles, and
processors may only consist of steps that LeRobot has registered, since it would import and call any other
name that it finds there.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import signal
import socket
import struct
import sys
import traceback
from pathlib import Path
from typing import Any

SUPPORTED = ("act", "smolvla", "pi0", "pi05")
"""Types that see one observation at a time and give a whole chunk."""

_STATE, _ACTION = "observation.state", "action"
_PROCESSORS = ("policy_preprocessor.json", "policy_postprocessor.json")
_FILES = ("config.json", "model.safetensors", *_PROCESSORS)
_FOUND_BY_ITSELF = "empty_camera_"  # images that LeRobot fills in where they are missing

_PREFIX = struct.Struct("<II")
_LONGEST_TEXT = 2000
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


class RefusedError(Exception):
    """The checkpoint cannot be used; the text is for the user."""


class Checkpoint:
    """A policy of LeRobot with its processors.

    Args:
        options: See the module.

    Raises:
        RefusedError: If the directory holds none that can be used.
        ImportError: If LeRobot, or what this type of policy needs of it, is not installed.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        directory = Path(options["directory"]).expanduser()
        check_files(directory)
        import torch
        from lerobot.configs.policies import PreTrainedConfig
        from lerobot.policies.factory import get_policy_class, make_pre_post_processors

        torch.set_num_threads(options["threads"])
        self._torch = torch
        self._options = options
        path = str(directory)
        config = PreTrainedConfig.from_pretrained(path)
        config.device, config.pretrained_path = options["device"], directory
        self.description = describe(config)
        # The checkpoint has all weights; these make LeRobot fetch others first.
        for name, value in (("pretrained_backbone_weights", None), ("load_vlm_weights", False)):
            if hasattr(config, name):
                setattr(config, name, value)
        self._policy = get_policy_class(config.type).from_pretrained(path, config=config)
        check_weights(self._policy, directory / "model.safetensors")
        # from_pretrained of pi0 and pi05 leaves both to its caller.
        self._policy.to(config.device).eval()
        self._before, self._after = make_pre_post_processors(
            config,
            pretrained_path=path,
            preprocessor_overrides={"device_processor": {"device": config.device}},
            postprocessor_overrides={"device_processor": {"device": "cpu"}},
        )
        for part in (self._policy, self._before, self._after):
            part.reset()
        self._noise_shape = (1, config.chunk_size, getattr(config, "max_action_dim", 0))
        self.description["rows"] = len(self.infer(self._blank()))
        weights = (directory / "model.safetensors").stat()
        self.description["weights"] = [weights.st_size, weights.st_mtime_ns]

    def infer(self, inputs: dict[str, Any]) -> Any:
        """Return the actions float32 [rows, width] for a request, as a tensor on the CPU."""
        torch, device = self._torch, self._options["device"]
        batch: dict[str, Any] = {"task": [inputs["task"]], _STATE: inputs[_STATE][None]}
        for name in self.description["images"]:
            batch[name] = inputs[name].to(device).permute(2, 0, 1)[None].float() / 255
        noise = {}
        if self._noise_shape[-1]:
            random = torch.Generator().manual_seed(self._seed(inputs["number"]))
            drawn = torch.randn(self._noise_shape, generator=random) * self._options["noise_scale"]
            noise["noise"] = drawn.to(device)
        with torch.no_grad():
            chunk = self._policy.predict_action_chunk(self._before(batch), **noise)
            rows = [self._after(chunk[:, row])[0] for row in range(chunk.shape[1])]
        actions = torch.stack(rows).float().cpu()
        if actions.ndim != 2 or actions.shape[1] != self.description["action"]:
            raise ValueError(
                f"expected actions of {self.description['action']} numbers, as the configuration says, the "
                f"policy gives {list(actions.shape)}"
            )
        return actions

    def read(self, header: dict[str, Any], body: bytearray) -> dict[str, Any]:
        """Return the values and tensors of a request."""
        inputs, place = dict(header["values"]), 0
        for name, dtype, shape in header["arrays"]:
            kind = {"<f4": self._torch.float32, "|u1": self._torch.uint8}[dtype]
            count = math.prod(shape)
            inputs[name] = self._torch.frombuffer(body, dtype=kind, count=count, offset=place).reshape(shape)
            place += count * kind.itemsize
        return inputs

    def _blank(self) -> dict[str, Any]:
        torch, said = self._torch, self.description
        images = {name: torch.zeros((*size, 3), dtype=torch.uint8) for name, size in said["images"].items()}
        return {_STATE: torch.zeros(said["state"]), **images, "task": "", "number": 0}

    def _seed(self, number: int) -> int:
        return (int(self._options["seed"]) * 1_000_003 + int(number)) % (1 << 63)


def check_files(directory: Path) -> None:
    """Check what can be said without LeRobot.

    Raises:
        RefusedError: If this is no checkpoint, of a type that is not supported, or unsafe.
    """
    missing = [name for name in _FILES if not (directory / name).is_file()]
    if missing:
        nested = directory / "pretrained_model"
        hint = ""
        if nested.is_dir():
            hint = f"; did you mean {nested}?"
        elif set(missing) <= set(_PROCESSORS):
            hint = "; LeRobot before 0.4 wrote none, its migrate_policy_normalization.py makes them"
        raise RefusedError(
            f"expected a checkpoint of LeRobot in {directory}, {', '.join(missing)} missing{hint}"
        )
    config = _read_json(directory / "config.json")
    kind, steps = config.get("type"), config.get("n_obs_steps", 1)
    if kind not in SUPPORTED or steps != 1:
        seen = "" if steps == 1 else f", which looks at {steps} observations"
        raise RefusedError(f"expected a policy of type {', '.join(SUPPORTED)}, got {kind!r}{seen}")
    for name in _PROCESSORS:
        steps = _read_json(directory / name).get("steps")
        if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
            raise RefusedError(f"{name}: expected a list of steps")
        for step in steps:
            if "registry_name" not in step:
                raise RefusedError(
                    f"{name}: expected steps by their registered names, got the class {step.get('class')!r}, "
                    f"which could be anything"
                )


def check_weights(policy: Any, path: Path) -> None:
    """Compare the weights of a policy with the file that they should come from.

    Where names do not match, and for pi0 and pi05 where loading fails, LeRobot keeps random weights.

    Raises:
        RefusedError: If a weight is not from the file.
    """
    from safetensors import safe_open

    state = policy.state_dict(keep_vars=True)
    with safe_open(str(path), framework="pt") as file:
        stored = set(file.keys())
        loaded, wrong = set(), []
        for name, weight in state.items():
            place = name if name in stored else name.removeprefix("model.")
            if place not in stored:
                continue
            loaded.add(id(weight))
            # One row of each is enough to tell loaded from random.
            some, of_file = weight.detach(), file.get_slice(place)
            if some.ndim:
                some, given = some[:1], of_file[:1]
            else:
                given = file.get_tensor(place)
            if list(of_file.get_shape()) != list(weight.shape) or not given.to(weight.dtype).equal(
                some.cpu()
            ):
                wrong.append(name)
    # A weight that is used under two names is stored under one of them.
    wrong += [name for name, weight in state.items() if id(weight) not in loaded]
    if wrong:
        raise RefusedError(
            f"{len(wrong)} of {len(state)} weights are not those of {path}, such as {wrong[0]!r}; LeRobot "
            f"would go on with random ones"
        )


def describe(config: Any) -> dict[str, Any]:
    """Return what a configuration of LeRobot says of a policy.

    Raises:
        RefusedError: If it needs something that nothing here gives.
    """
    inputs, outputs = config.input_features, config.output_features
    images = {name: list(item.shape) for name, item in config.image_features.items()}
    unknown = [name for name in inputs if name != _STATE and name not in images]
    if unknown or _STATE not in inputs:
        raise RefusedError(f"expected {_STATE} and images as its inputs, got {', '.join(inputs)}")
    if list(outputs) != [_ACTION] or len(outputs[_ACTION].shape) != 1:
        raise RefusedError(f"expected {_ACTION} as its only output, got {', '.join(outputs)}")
    for name, shape in images.items():
        if len(shape) != 3 or shape[0] != 3:
            raise RefusedError(f"{name}: expected a shape [3, height, width], got {shape}")
    return {
        "type": config.type,
        "state": inputs[_STATE].shape[0],
        "action": outputs[_ACTION].shape[0],
        "images": {
            name: shape[1:]
            for name, shape in images.items()
            if not name.rpartition(".")[2].startswith(_FOUND_BY_ITSELF)
        },
        "takes_task": config.type != "act",
    }


def serve(connection: socket.socket, checkpoint: Checkpoint) -> None:
    """Answer requests until the other end is closed."""
    while True:
        header, body = receive(connection)
        try:
            actions = checkpoint.infer(checkpoint.read(header, body))
        except Exception as error:  # whatever LeRobot raises, the next request may work
            traceback.print_exc()
            send(connection, "error", header["id"], {"message": _text(error)})
        else:
            shape = ["actions", "<f4", list(actions.shape)]
            send(connection, "answer", header["id"], {}, [shape], actions.numpy().tobytes())


def send(
    connection: socket.socket,
    kind: str,
    number: int,
    values: dict[str, Any],
    arrays: list[Any] | None = None,
    body: bytes = b"",
) -> None:
    """Send one message."""
    fields = {"kind": kind, "id": number, "values": values, "arrays": arrays or []}
    header = json.dumps(fields).encode()
    connection.sendall(_PREFIX.pack(len(header), len(body)) + header + body)


def receive(connection: socket.socket) -> tuple[dict[str, Any], bytearray]:
    """Return the header and the body of the next message.

    Raises:
        EOFError: If the other end was closed.
    """
    header_size, body_size = _PREFIX.unpack(_receive_exactly(connection, _PREFIX.size))
    header = json.loads(_receive_exactly(connection, header_size))
    return header, _receive_exactly(connection, body_size)


def _receive_exactly(connection: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = connection.recv_into(view)
        if not count:
            raise EOFError
        view = view[count:]
    return data


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"{path}: expected JSON: {error}") from error
    if not isinstance(content, dict):
        raise RefusedError(f"{path}: expected a map")
    return content


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST_TEXT]


def _problem(error: Exception, directory: str) -> str:
    """Return what to tell the user of a checkpoint that did not load."""
    if isinstance(error, RefusedError):
        return str(error)
    traceback.print_exc()
    if isinstance(error, ImportError):
        return (
            f"{sys.executable} lacks {error.name or 'a module'} ({error}); expected the Python of an "
            f"environment with LeRobot and what this policy needs: pip install 'lerobot[smolvla]==0.4.4'"
        )
    return f"LeRobot cannot load {directory}: {_text(error)}"


def main() -> int:
    """Load the checkpoint and serve; return 0 when the other end is closed, 2 if it cannot be used."""
    options = json.loads(sys.argv[1])
    connection = socket.socket(fileno=int(sys.argv[2]))
    # The process at the other end decides when this one ends, or takes it along.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # Modules beside this file have names that others have too, such as lerobot.
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [folder for folder in sys.path if os.path.realpath(folder) != here]
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with contextlib.suppress(EOFError, ConnectionError):
        try:
            checkpoint = Checkpoint(options)
        except Exception as error:  # LeRobot and what it imports are foreign code
            send(connection, "refused", 0, {"message": _problem(error, options["directory"])[:_LONGEST_TEXT]})
            return 2
        send(connection, "description", 0, checkpoint.description)
        serve(connection, checkpoint)
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # torch takes seconds to put in order what the kernel frees at once
