"""Time InceptionResnetV1 here and in eager PyTorch, and the most this machine can compute."""

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from openvino import opset13 as ops
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.rounds import Effort, Timings, interleave
from benchmarks.services import random_weights, setups
from benchmarks.straightforward import load_network
from models.openvino import OpenVinoRuntime

SIDE = 160
PRECISIONS = {"float32": (torch.float32, "f32"), "bfloat16": (torch.bfloat16, "bf16")}


def measure(effort: Effort) -> dict[str, Any]:
    """Measure the time for one face, also in GFLOP/s, and the matrix product of this machine."""
    network = load_network(random_weights()).eval()
    source = setups()["facenet"].model().network()
    ours = {name: OpenVinoRuntime(bfloat16=name == "bfloat16") for name in PRECISIONS}
    compiled = {name: runtime.compile(source) for name, runtime in ours.items()}
    pixels = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)

    def eager(half: bool) -> None:
        # This includes turning pixels into a tensor, as this service does.
        x = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127.5) / 128
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            network(x)

    cases: dict[str, Callable[[int], Any]] = {
        "eager PyTorch": lambda _: eager(half=False),
        "eager PyTorch, bfloat16 autocast": lambda _: eager(half=True),
    }
    for name, run in compiled.items():
        cases[f"this service, {name}"] = lambda _, run=run: run(pixels)
    times = interleave(cases, effort(5, 60), warm=4)
    vectors = {name: run(pixels)[0][0] for name, run in compiled.items()}
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 3, SIDE, SIDE))
    gigaflop = counter.get_total_flops() / 1e9
    return {
        "times": times.summary(),
        "gigaflop": gigaflop,
        "gigaflop_per_second": {
            case: gigaflop / times.median_ms(case) * 1e3 for case in times.seconds
        },
        "matrix_product_gigaflop_per_second": _matrix_products(effort),
        "weights": sum(weights.numel() for weights in network.parameters()),
        "read_gigabyte_per_second": _reading(effort),
        "cosine_of_precisions": float(vectors["float32"] @ vectors["bfloat16"]),
    }


def _matrix_products(effort: Effort, side: int = 1024) -> dict[str, float]:
    """Measure the GFLOP/s of a large matrix product in two libraries; the fastest run counts."""
    timings = Timings()
    cases: dict[str, Callable[[], Any]] = {}
    for name, (kind, hint) in PRECISIONS.items():
        a, b = torch.rand(side, side).to(kind), torch.rand(side, side).to(kind)
        cases[f"{name}, PyTorch"] = lambda a=a, b=b: a @ b
        cases[f"{name}, OpenVINO"] = _openvino_product(side, hint)
    for number in range(effort(20, 100)):
        for case, call in cases.items():
            (timings.timed if number else lambda _, call: call())(case, call)
    work = 2 * side**3 / 1e9
    return {case: work / min(seconds) for case, seconds in timings.seconds.items()}


def _reading(effort: Effort) -> float:
    """Measure the GB/s at which all cores together read memory; the fastest run counts."""
    numbers = torch.ones(2**27)
    timings = interleave({"sum": lambda _: numbers.sum()}, effort(5, 30))
    return numbers.nbytes / 1e9 / min(timings.seconds["sum"])


def _openvino_product(side: int, precision: str) -> Callable[[], Any]:
    a = ops.parameter([side, side], np.float32)
    weights: NDArray[np.float32] = np.random.default_rng(0).random((side, side), np.float32)
    model = openvino.Model([ops.matmul(a, ops.constant(weights), False, False)], [a])
    options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    return lambda: request.infer([weights], share_inputs=True)
