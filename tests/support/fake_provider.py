"""A provider of sign-ins on loopback: an issuer that also takes people in and gives tokens for codes.

with FakeProvider() as provider:
    provider.person = {"sub": "7", "preferred_username": "ann", "groups": ["science"]}
    back = provider.let_in(location)        # what the browser is sent back to
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from tests.support.fake_issuer import FakeIssuer

CLIENT_ID, CLIENT_SECRET = "entrepot", "not-for-you"


class FakeProvider(FakeIssuer):
    """An OpenID Connect provider that insists on PKCE, the client's secret, and codes that are used once.

    `person` are the claims of who signs in, `told` more that its user info endpoint tells. `changes` are to the claims
    of ID tokens, for what goes wrong.
    """

    TOKEN, USER_INFO = "oauth/token", "userinfo"

    def __init__(self, path: str = "", *, methods: tuple[str, ...] = ()) -> None:
        super().__init__(path)
        self.person: dict[str, Any] = {"sub": "7", "preferred_username": "ann"}
        self.told: dict[str, Any] = {}
        self.changes: dict[str, Any] = {}
        self.sign_in_key: Any = None
        self.wants_pkce = True
        self._methods = methods
        self._codes: dict[str, Mapping[str, str]] = {}
        self._given: set[str] = set()

    def publish(self, **changes: Any) -> None:
        more: dict[str, Any] = {"userinfo_endpoint": f"{self.url}/{self.USER_INFO}"}
        if self._methods:
            more["token_endpoint_auth_methods_supported"] = list(self._methods)
        super().publish(**more, **changes)

    def let_in(self, location: str) -> str:
        """What a browser that comes with this URL is sent back to, once the person signed in."""
        assert location.startswith(f"{self.url}/authorize?")
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert (asked["client_id"], asked["response_type"]) == (CLIENT_ID, "code")
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def take_form(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        if path == self.USER_INFO:
            is_good = headers.get("Authorization", "").removeprefix("Bearer ") in self._given
            return (200, json.dumps({"sub": self.person["sub"], **self.told}).encode()) if is_good else (401, b"{}")
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if self._client(headers, form) != (CLIENT_ID, CLIENT_SECRET):
            return 401, b'{"error": "invalid_client"}'
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None or asked["redirect_uri"] != form.get("redirect_uri"):
            return 400, b'{"error": "invalid_grant"}'
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if self.wants_pkce and (asked.get("code_challenge"), asked.get("code_challenge_method")) != (challenge, "S256"):
            return 400, b'{"error": "invalid_grant"}'
        claims = {"aud": CLIENT_ID, "nonce": asked.get("nonce"), **self.person, **self.changes}
        access_token = secrets.token_urlsafe(16)
        self._given.add(access_token)
        told = {"id_token": self.token(key=self.sign_in_key, **claims), "access_token": access_token}
        return 200, json.dumps({**told, "token_type": "Bearer"}).encode()

    def _client(self, headers: Mapping[str, str], form: Mapping[str, str]) -> tuple[str, str]:
        sent = headers.get("Authorization", "")
        if "client_secret" in form and (not self._methods or "client_secret_post" in self._methods):
            return form["client_id"], form["client_secret"]
        if not sent.startswith("Basic ") or (self._methods and "client_secret_basic" not in self._methods):
            return "", ""
        user, _, password = base64.b64decode(sent.removeprefix("Basic ")).decode().partition(":")
        return unquote(user), unquote(password)
