"""What is offered to an endpoint that asks who we are."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, quote_plus

from entrepot.core.errors import EndpointRefused


@dataclass(frozen=True, slots=True)
class Login:
    """A credential, decrypted.

    Attributes:
        kind: which URLs it is for.
        username: of `https`; of `ssh`, where the URL names none.
        secret: `ssh`: a private key without passphrase, as text; `https`: the password or token.
    """

    kind: Literal["ssh", "https"]
    username: str
    secret: str = field(repr=False)

    def check(self) -> None:
        """Raises EndpointRefused: it can't be told to git, whose credential helpers speak in lines."""
        if self.kind == "https" and any(c in self.username + self.secret for c in "\r\n\0"):
            raise EndpointRefused(
                "the credential has a line end in it, which no user or password may have",
                hint="import it again: entrepot import https-credential",
            )

    @property
    def forms(self) -> tuple[str, ...]:
        """All in which the secret could come up in what a program says."""
        if self.kind == "ssh":
            return tuple(line for line in self.secret.splitlines() if line and not line.startswith("-----"))
        pair = f"{self.username}:{self.secret}"
        plain = (self.secret, quote(self.secret), quote(self.secret, safe=""), quote_plus(self.secret))
        return (*plain, *(base64.b64encode(text.encode()).decode() for text in (pair, self.secret)))
