"""The operations that networks consist of. Each runtime has an implementation."""

from collections.abc import Sequence
from typing import Any, Protocol

# A tensor of a runtime: (n, channels, rows, columns), or (n, values) after `dense`. `+` adds two.
Tensor = Any
Numbers = float | Sequence[float]  # one, or one for each channel


class Layers(Protocol):
    """The operations, with the weights of one network.

    A layer's weights are `name.weight` and, except for `prelu`, `name.bias`.
    """

    def planes(self, pixels: Tensor, mean: Numbers, scale: Numbers) -> Tensor:
        """Turn (n, rows, columns, 3) uint8 into (n, 3, rows, columns): (pixels − mean) / scale."""

    def convolution(self, x: Tensor, name: str, stride: int = 1, same: bool = False) -> Tensor:
        """Convolve with (filters, channels, rows, columns). same: pad by half the kernel."""

    def dense(self, x: Tensor, name: str) -> Tensor:
        """Return (n, outputs): all values of each picture times the weights, (outputs, inputs)."""

    def relu(self, x: Tensor) -> Tensor:
        """Return max(x, 0)."""

    def prelu(self, x: Tensor, name: str) -> Tensor:
        """Multiply negative values by the channel's weight."""

    def max_pool(self, x: Tensor, size: int, ceil: bool = False) -> Tensor:
        """Return the largest of size × size values, every other. ceil: the last may have fewer."""

    def average_pool(self, x: Tensor) -> Tensor:
        """Return the mean of each 2×2 values. A last row or column without a pair is left out."""

    def mean(self, x: Tensor) -> Tensor:
        """Return the mean of each channel, (n, channels)."""

    def softmax(self, x: Tensor) -> Tensor:
        """Return exp(x), scaled so that the channels sum to 1."""

    def pad(self, x: Tensor, channels: int = 0, side: int = 0) -> Tensor:
        """Add channels, rows at the bottom, and as many columns at the right, of zeros."""

    def concat(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the channels of all parts."""

    def with_mirrored(self, x: Tensor) -> Tensor:
        """Append the mirrored pictures: (2n, channels, rows, columns)."""

    def sum_of_halves(self, x: Tensor) -> Tensor:
        """Add the second half of the n rows to the first."""

    def unit(self, x: Tensor) -> Tensor:
        """Scale the vectors in (n, values) to unit length."""
