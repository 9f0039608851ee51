"""The synchronous and the asynchronous client behind one face."""

import asyncio
from collections.abc import Callable
from typing import Any

from image_registration import AsyncClient, Client


class Calls:
    """Calls methods of either client by name, and returns iterators as lists.

    url, options: of the client. is_async: which client.
    """

    def __init__(self, is_async: bool, url: str, **options: Any) -> None:  # noqa: ANN401
        self._is_async = is_async
        self._url = url
        self._options = options

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: object, **options: object) -> object:
            if self._is_async:
                return asyncio.run(self._call(name, args, options))
            with Client(self._url, **self._options) as client:
                found = getattr(client, name)(*args, **options)
                return list(found) if hasattr(found, "__next__") else found

        return call

    async def _call(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> object:
        async with AsyncClient(self._url, **self._options) as client:
            found = getattr(client, name)(*args, **options)
            if hasattr(found, "__anext__"):
                return [each async for each in found]
            return await found
