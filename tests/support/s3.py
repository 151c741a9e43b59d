"""An S3 of our own: moto's server on loopback, found by clients through the AWS_* variables."""

from __future__ import annotations

import itertools
import logging
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class S3:
    """A running server; `bucket()` makes a fresh empty bucket."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._numbers = itertools.count(1)

    def bucket(self) -> str:
        """The new bucket's name."""
        name = f"bucket-{next(self._numbers)}"
        request = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT")
        with urllib.request.urlopen(request, timeout=30):
            return name


@contextmanager
def server() -> Iterator[S3]:
    """Start the server and point AWS_* at it; both end with the context.

    Raises:
        ImportError: moto's server is not installed.
    """
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request buries a failing test's own log
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("AWS_")]:
                patch.delenv(name)
            for name, value in {
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_ACCESS_KEY_ID": "tests",
                "AWS_SECRET_ACCESS_KEY": "tests",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ALLOW_HTTP": "true",
                "AWS_EC2_METADATA_DISABLED": "true",
            }.items():
                patch.setenv(name, value)
            yield S3(endpoint)
    finally:
        running.stop()
