"""Lists come page by page: how many entries a page has, and the walk over all of them."""

from __future__ import annotations

from typing import Final, Generic, Protocol, Self, TypeVar

import grpc

from penstock.transport import Transport

# Few calls, and no answer near a message's largest size.
PAGE_SIZE: Final = 200


class ListRequest(Protocol):
    """The request of a list method."""

    page_size: int
    page_token: str


class ListResponse(Protocol):
    """The answer of a list method: one page."""

    next_page_token: str


_Request = TypeVar("_Request", bound=ListRequest)
_Response = TypeVar("_Response", bound=ListResponse)


class Pages(Generic[_Request, _Response]):
    """The answers of a list method up to the last one, each fetched when it is asked for.

    No generator, because a list that is dropped halfway would leave it behind, still open.
    """

    def __init__(
        self,
        transport: Transport,
        method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Response],
        request: _Request,
    ) -> None:
        self._transport = transport
        self._method = method
        self._request = request
        self._ended = False
        request.page_size = PAGE_SIZE

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _Response:
        if self._ended:
            raise StopAsyncIteration
        page = await self._transport.call(self._method, self._request)
        self._request.page_token = page.next_page_token
        self._ended = not page.next_page_token
        return page
