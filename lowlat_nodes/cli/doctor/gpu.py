# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""NVIDIA's driver and GPUs, and whether torch and ONNX Runtime can use them."""

from __future__ import annotations

import importlib.util
import json
import string
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lowlat_nodes.cli.doctor.examination import Answer, Examination
from lowlat_nodes.cli.doctor.finding import Finding, note, ok, problem, warning
from lowlat_nodes.cli.doctor.requirements import pip, versions_of
from lowlat_nodes.energy.nvidia import DRIVER, Refused
from lowlat_nodes.stream.clock import SteadyClock
from lowlat_nodes.stream.errors import MissingExtra

_LONGEST_S = 12.0
_NVIDIA = "0x10de"
_DISPLAY = "0x03"  # the first byte of PCI classes of display controllers
_DRIVER = Path("/proc/driver/nvidia/version")
_RUNTIMES = ("onnxruntime", "onnxruntime-gpu")

# Each in a process of its own: a library of CUDA that does not fit may end it.
_TORCH = """
import json, torch
there = torch.cuda.is_available()
print(json.dumps({
    "version": torch.__version__, "cuda": torch.version.cuda, "available": there,
    "built_for": torch.cuda.get_arch_list() if there else [],
    "gpu": "sm_%d%d" % torch.cuda.get_device_capability() if there else "",
    "sum": float(torch.ones(4, device="cuda").sum()) if there else 0.0,
}))
"""
_ONNXRUNTIME = """
import json, onnxruntime
print(json.dumps({"version": onnxruntime.__version__, "providers": onnxruntime.get_available_providers()}))
"""


def check(examination: Examination) -> Iterator[Finding]:
    """Ask the driver, then the libraries."""
    present = hardware()
    names, refused = _driver()
    yield judge_driver(present, names, refused, _DRIVER.exists())
    if importlib.util.find_spec("torch"):
        answer = examination.ask([sys.executable, "-c", _TORCH], _LONGEST_S)
        if answer.code == 0:
            yield judge_torch(json.loads(answer.out.splitlines()[-1]), gpu=bool(present or names))
        else:
            yield _does_not_run("torch", answer)
    yield from onnxruntime(examination, gpu=bool(present or names))


def onnxruntime(examination: Examination, *, gpu: bool) -> Iterator[Finding]:
    """Yield whether there is one ONNX Runtime, and what it can use; `gpu` is whether there is one."""
    yield judge_runtimes(versions_of(_RUNTIMES))
    answer = examination.ask([sys.executable, "-c", _ONNXRUNTIME], _LONGEST_S)
    if answer.code == 0:
        yield judge_providers(json.loads(answer.out.splitlines()[-1]), gpu=gpu)
    else:
        yield _does_not_run("onnxruntime", answer)


def hardware(devices: Path = Path("/sys/bus/pci/devices")) -> int:
    """Return how many GPUs of NVIDIA are on the bus, whether or not a driver is there."""
    count = 0
    for device in devices.glob("*"):
        try:
            vendor = (device / "vendor").read_text(encoding="ascii").strip()
            kind = (device / "class").read_text(encoding="ascii").strip()
        except OSError:
            continue
        count += vendor == _NVIDIA and kind.startswith(_DISPLAY)
    return count


def judge_driver(present: int, names: list[str], refused: str, loaded: bool) -> Finding:
    """Return what there is.

    Args:
        present: GPUs on the bus.
        names: GPUs that the driver shows.
        refused: Why it shows none; empty where nothing is wrong.
        loaded: Whether the kernel has the driver.
    """
    figures = {"on_the_bus": present, "gpus": names, "driver_loaded": loaded}
    if names:
        return ok("NVIDIA", f"The driver shows {', '.join(names)}.", **figures)
    if not present and not loaded:
        return note("NVIDIA", "There is no NVIDIA GPU; models run on the processor.", **figures)
    if "pip install" in refused:  # pynvml is missing, the driver may be fine
        return note("NVIDIA", f"There is a GPU, and nobody to ask it: {refused}.",
                    pip("install", "lowlat_nodes[energy]"), **figures)  # fmt: skip
    if not loaded:
        found = "There is a GPU of NVIDIA and no driver for it."
        return warning(
            "NVIDIA", found, "sudo ubuntu-drivers install    # or: sudo apt install nvidia-driver", **figures
        )
    mend = (
        "nvidia-smi    # after an update of the driver: sudo reboot; in a container: docker run --gpus "
        "all ..."
    )
    return problem(
        "NVIDIA", f"The driver is loaded and shows no GPU: {refused or 'none is there'}.", mend, **figures
    )


def judge_torch(said: Mapping[str, Any], *, gpu: bool) -> Finding:
    """Return whether torch can use the GPU.

    Args:
        said: Version, the CUDA that it was built for, whether it finds a GPU, the architectures that it has
            kernels for, that of the GPU, and what adding up four ones there gave.
        gpu: Whether there is one.
    """
    version, cuda = said["version"], said["cuda"]
    if said["available"]:
        if said["sum"] != 4.0:
            return problem(
                "torch",
                f"torch {version} computes wrongly on the GPU: 1+1+1+1 = {said['sum']}.",
                "nvidia-smi -q",
            )
        if said["built_for"] and not _fits(said["gpu"], said["built_for"]):
            found = (
                f"torch {version} has no kernels for this GPU ({said['gpu']}), only for "
                f"{', '.join(said['built_for'])}."
            )
            return problem("torch", found, _torch_anew(), **said)
        return ok("torch", f"torch {version} uses the GPU with CUDA {cuda}.", **said)
    if not gpu:
        return ok("torch", f"torch {version} runs on the processor.", **said)
    if cuda is None:
        found = f"torch {version} was built without CUDA, and there is a GPU."
        mend = pip("install", "--force-reinstall", "--no-deps", f"torch=={version.partition('+')[0]}")
        return warning("torch", found, mend, **said)
    found = (
        f"torch {version} was built for CUDA {cuda} and finds no GPU, though there is one: the driver is "
        "older, or hidden."
    )
    return problem("torch", found, "nvidia-smi; echo $CUDA_VISIBLE_DEVICES", _torch_anew(), **said)


def judge_runtimes(versions: Mapping[str, str]) -> Finding:
    """Return whether more than one ONNX Runtime is installed; by distribution, its version."""
    if len(versions) < 2:
        return ok(
            "ONNX Runtime", f"{' '.join(*versions.items()) if versions else 'Not from PyPI'}.", **versions
        )
    both = " and ".join(f"{name} {version}" for name, version in versions.items())
    return problem(
        "ONNX Runtime",
        f"{both} are installed into the same folder: the files of one have replaced those of the other.",
        pip("uninstall", "-y", *versions),
        pip("install", "onnxruntime-gpu") + "    # or onnxruntime, on a machine without GPU",
        **versions,
    )


def judge_providers(said: Mapping[str, Any], *, gpu: bool) -> Finding:
    """Return whether ONNX Runtime can use the GPU."""
    providers = [name.removesuffix("ExecutionProvider") for name in said["providers"]]
    figures = {"version": said["version"], "providers": providers}
    found = f"ONNX Runtime {said['version']} has {', '.join(providers)}"
    if not gpu or {"CUDA", "Tensorrt"} & set(providers):
        return ok("providers", f"{found}.", **figures)
    return warning(
        "providers",
        f"{found}, and there is a GPU.",
        pip("uninstall", "-y", "onnxruntime"),
        pip("install", "onnxruntime-gpu"),
        **figures,
    )


def _fits(gpu: str, built_for: list[str]) -> bool:
    """Whether kernels run on a GPU: of its generation and not newer, or such as are compiled when run."""
    for name in built_for:
        kind, _, version = name.partition("_")
        ours, theirs = int(gpu.removeprefix("sm_")), int(version.rstrip(string.ascii_lowercase))
        if theirs <= ours and (kind == "compute" or theirs // 10 == ours // 10):
            return True
    return False


def _torch_anew() -> str:
    index = "https://download.pytorch.org/whl/cu126"
    return (
        pip("install", "--force-reinstall", "torch", "--index-url", index) + "    # or what nvidia-smi allows"
    )


def _does_not_run(name: str, answer: Answer) -> Finding:
    mend = f"{sys.executable} -c 'import {name}'"
    if answer.code is None:
        return note(name, f"Importing {name} took longer than a check may take.", mend)
    return problem(name, f"Importing {name} fails: {answer.reason}.", mend)


def _driver() -> tuple[list[str], str]:
    """Return the names of the GPUs that the driver shows, and why there are none."""
    try:
        DRIVER.acquire()
    except (MissingExtra, Refused) as error:
        return [], str(error)
    try:
        return [device.name for device in DRIVER.devices(SteadyClock())], ""
    finally:
        DRIVER.release()
