"""The client's methods for tokens, and for who asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict, cast

from entrepot.client.calls import Calls, given, part


class Token(TypedDict):
    """What may be known of a token; `start` are the first characters of its secret."""

    guid: str
    start: str
    kind: Literal["api", "session", "sso", "federation"]
    via: str | None
    user: str
    description: str
    scopes: list[str]
    state: Literal["good", "expired", "revoked"]
    created: str
    created_by: str
    expires: str | None
    revoked: str | None
    revoked_by: str | None
    last_used: str | None
    last_address: str | None


class CreatedToken(Token):
    """With its text, which nobody is shown again."""

    token: str


class Who(TypedDict):
    """Who asks; `kind`, `via`, `guid` and `expires` are those of the token."""

    actor: str
    scopes: list[str]
    guid: str | None
    kind: str | None
    via: str | None
    expires: str | None
    is_session: bool


class TokenCalls(Calls):
    """A part of `Client`."""

    def create_token(
        self,
        scopes: Sequence[str],
        *,
        description: str,
        repos: Sequence[str] = (),
        sources: Sequence[str] = (),
        user: str | None = None,
        expires: str = "never",
    ) -> CreatedToken:
        """`repos` and `sources` are names, or `*` for all; `expires` is such as `15m`, `20d` or `never`."""
        body = {
            "scopes": list(scopes),
            "repos": list(repos),
            "sources": list(sources),
            "description": description,
            "expires": expires,
            **given(user=user),
        }
        return cast(CreatedToken, self._call("POST", "/tokens", body=body))

    def list_tokens(self, *, expired: bool = False, revoked: bool = False, kind: str = "api") -> list[Token]:
        """Tokens, the newest first: those that are good, and with the flags those that ended too."""
        flags = {"expired": str(expired).lower(), "revoked": str(revoked).lower()}
        return cast(list[Token], self._all("/tokens", kind=kind, **flags))

    def token(self, guid: str) -> Token:
        return cast(Token, self._call("GET", f"/tokens/{part(guid)}"))

    def revoke_token(self, *, guid: str | None = None, token: str | None = None) -> Token:
        """End the token of that guid, or of that text."""
        return cast(Token, self._call("POST", "/tokens/revoke", body=given(guid=guid, token=token)))

    def whoami(self) -> Who:
        return cast(Who, self._call("GET", "/whoami"))
