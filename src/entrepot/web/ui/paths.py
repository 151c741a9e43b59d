"""Where the pages for people are; no repository has such a name."""

from __future__ import annotations

LOGIN = "/__login__"
SSO = "/__login__/sso"
CALLBACK = "/__login__/callback"
LOGOUT = "/__logout__"
DEVICE = "/__device__"
ALL = frozenset({"", "/", LOGIN, SSO, CALLBACK, LOGOUT, DEVICE})
