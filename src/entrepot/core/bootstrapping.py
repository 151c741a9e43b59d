"""What both sides of a bootstrap agree on: a request signed with a private key, an answer only that key can read.

The request is a JSON Web Token (RFC 7519) signed with RSA-PSS; the answer is JSON encrypted with RSA-OAEP (RFC 7516).
"""

from __future__ import annotations

AUDIENCE = "entrepot-bootstrap"
SIGNED_WITH = "PS256"
ENCRYPTED_WITH = ("RSA-OAEP-256", "A256GCM")
"""How the answer's key is encrypted, and how the answer is."""
GOOD_FOR = 300
"""Seconds that a request is good for at most."""
LEEWAY = 60
"""Seconds by which the clocks of both sides may differ."""
KEY_BITS = 3072
FEWEST_BITS = 2048
