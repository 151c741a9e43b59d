"""A program that signs in without a browser, as the product's clients do it.

program = Program(live)
program.begin()
browser.send(browser.get(program.page), decision="allow")
token = program.exchange(program.poll()["id_token"])["access_token"]
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from tests.support.server import Live

VERIFIER = "verifier-verifier-verifier-verifier-verifier"
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"


def challenge(verifier: str = VERIFIER) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class Program:
    """One program; each method gives the JSON of the answer, whose status is in `status`."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self.status = 0
        self.begun: dict[str, Any] = {}

    def begin(self, **changes: str) -> dict[str, Any]:
        self.begun = self._form("/device", {"code_challenge_method": "S256", "code_challenge": challenge()} | changes)
        return self.begun

    @property
    def page(self) -> str:
        """The path of the page with the code, below the site's address."""
        return str(self.begun["verification_uri_complete"]).removeprefix(self._live.address)

    def poll(self, **changes: str) -> dict[str, Any]:
        fields = {"device_code": self.begun.get("device_code", ""), "code_verifier": VERIFIER}
        return self._form("/device_access", fields | changes)

    def exchange(self, identity: str) -> dict[str, Any]:
        return self._form("/token", {"grant_type": GRANT, "subject_token": identity, "subject_token_type": ID_TOKEN})

    def _form(self, path: str, fields: dict[str, str]) -> dict[str, Any]:
        url = f"{self._live.address}/__api__{path}"
        answer = self._live.pool.request_encode_body("POST", url, fields=fields, encode_multipart=False)
        self.status = answer.status
        assert answer.headers["Cache-Control"] == "no-store"
        found: dict[str, Any] = answer.json()
        return found
