"""The calls of Prefect's API that this process makes, counted where they leave it."""

from __future__ import annotations


def watch_prefect_calls() -> list[str]:
    """The paths that Prefect's clients ask for in this process, from now on; events and logs apart."""
    import httpx

    calls: list[str] = []
    for kind in (httpx.Client, httpx.AsyncClient):
        real = kind.send

        def send(self, request, *arguments, _real=real, **keywords):  # type: ignore[no-untyped-def]
            calls.append(request.url.path)
            return _real(self, request, *arguments, **keywords)

        kind.send = send  # type: ignore[method-assign]
    return calls
