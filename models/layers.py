"""The operations that networks consist of. Each runtime has an implementation."""

from collections.abc import Sequence
from typing import Any, Protocol

# A tensor of a runtime: (n, channels, rows, columns), or (n, values) after `dense`. `+` adds two.
Tensor = Any


class Layers(Protocol):
    """Operations, and the weights of one network. `name` is that of the layer's weights."""

    def planes(self, pixels: Tensor, mean: float | Sequence[float], scale: float) -> Tensor:
        """Turn (n, rows, columns, 3) uint8 into (n, 3, rows, columns): (pixels − mean) / scale."""

    def convolution(self, x: Tensor, name: str, stride: int = 1, same: bool = False) -> Tensor:
        """Convolve. same: pad by half the kernel with zeros, which keeps the size if stride is 1.

        The weights are `name.weight`, (filters, channels, rows, columns), and `name.bias`.
        """

    def dense(self, x: Tensor, name: str) -> Tensor:
        """Multiply the flattened rows of x with `name.weight`, (outputs, inputs); add `name.bias`.

        Return (n, outputs).
        """

    def times(self, x: Tensor, factor: float) -> Tensor:
        """Return the product."""

    def relu(self, x: Tensor) -> Tensor:
        """Return max(x, 0)."""

    def prelu(self, x: Tensor, name: str) -> Tensor:
        """Multiply negative values by `name.weight`, a factor for each channel."""

    def max_pool(self, x: Tensor, size: int, ceil: bool = False) -> Tensor:
        """Return the largest of size × size values, at every other place.

        ceil: whether windows may reach beyond the end.
        """

    def average_pool(self, x: Tensor) -> Tensor:
        """Return the means of 2×2 values. The last row or column is dropped if there is no pair."""

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
