"""Runs networks in PyTorch, for NVIDIA GPUs."""

import torch

from models.network import (
    Network,
    NetworkSource,
    OnnxSource,
    Outputs,
    Pixels,
    RuntimeUnavailable,
)


class TorchRuntime:
    """Runs PyTorch modules as they are, in half precision on a GPU."""

    def __init__(self, device: str) -> None:
        self.device = device

    def compile(self, source: NetworkSource | OnnxSource) -> Network:
        """Return the network, ready to run. Raise RuntimeUnavailable if it is an ONNX network."""
        if isinstance(source, OnnxSource):
            raise RuntimeUnavailable(
                f"the model {source.name} is an ONNX network, which runs on the CPU: set DEVICE=cpu"
            )
        module = source.build().to(self.device)
        half = self.device == "cuda"

        def run(pixels: Pixels) -> Outputs:
            with torch.inference_mode(), torch.autocast(self.device, torch.float16, enabled=half):
                outputs = module(torch.from_numpy(pixels).to(self.device))
            if isinstance(outputs, torch.Tensor):
                outputs = (outputs,)
            return tuple(output.float().cpu().numpy() for output in outputs)

        return run
