"""The whole error tree, by what an error means to the caller.

Every error has a stable kebab-case `code`, a one-line message, data fields in `payload` and, where it
helps, a `hint` that says what to do. HTTP statuses live in `web.errors`, exit codes in `cli`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from entrepot.core.hiding import without_secrets


class EntrepotError(Exception):
    """Base of all errors that a caller is told about.

    Args:
        message: one line, for a person; what can't be printed in it (names come from anywhere) is escaped, and
            what looks like a token is hidden.
        hint: what to do about it, where there is something to do.
        payload: JSON values that a program may want (names, versions, limits).
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None, **payload: object) -> None:
        shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(message.split()))
        self.message = without_secrets(shown)
        self.hint = hint if hint is None else without_secrets(hint)
        self.payload: dict[str, object] = {name: _hidden(value) for name, value in payload.items()}
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message

    def as_json(self) -> dict[str, object]:
        """The body that the API answers: `code`, `error`, `hint`, `payload`."""
        return {"code": self.code, "error": self.message, "hint": self.hint, "payload": self.payload or None}


def _hidden(value: object) -> object:
    if isinstance(value, str):
        return without_secrets(value)
    return [_hidden(each) for each in value] if isinstance(value, list) else value


class NotFound(EntrepotError):
    """The thing asked for does not exist."""

    code = "not-found"


class RepositoryNotFound(NotFound):
    code = "repository-not-found"


class SourceNotFound(NotFound):
    code = "source-not-found"


class PackageNotFound(NotFound):
    code = "package-not-found"


class ReadmeNotFound(NotFound):
    """A package has no README, or its source package would have to be fetched for it (`payload["can_fetch"]`)."""

    code = "readme-not-found"


class FileNotListed(NotFound):
    """No file of that name is visible in that repository at that snapshot."""

    code = "file-not-listed"


class SnapshotNotFound(NotFound):
    code = "snapshot-not-found"


class BioconductorVersionNotFound(NotFound):
    code = "bioconductor-version-not-found"


class JobNotFound(NotFound):
    code = "job-not-found"


class BuilderNotFound(NotFound):
    code = "git-builder-not-found"


class CredentialNotFound(NotFound):
    code = "git-credential-not-found"


class BuildNotFound(NotFound):
    """No attempt at a build has that transaction, or nothing is known of that tag or commit."""

    code = "git-build-not-found"


class TargetNotFound(NotFound):
    code = "target-not-found"


class BinaryBuildNotFound(NotFound):
    """Nobody tried to build that binary package."""

    code = "binary-build-not-found"


class TokenNotFound(NotFound):
    code = "token-not-found"


class UsageOff(NotFound):
    """Nothing is counted on this server."""

    code = "usage-off"


class DeviceLoginNotFound(NotFound):
    """Nothing waits for a person under the code that they typed."""

    code = "device-login-not-found"


class Conflict(EntrepotError):
    """The request is sound but collides with what is there."""

    code = "conflict"


class NameTaken(Conflict):
    code = "name-taken"


class FileExists(Conflict):
    code = "file-exists"


class SourceInUse(Conflict):
    code = "source-in-use"


class AlreadySubscribed(Conflict):
    code = "already-subscribed"


class SyncRunning(Conflict):
    code = "sync-running"


class AlreadySynced(Conflict):
    """How much history a mirror has was decided by its first sync."""

    code = "already-synced"


class Cancelled(Conflict):
    """A job was ended before it was done: somebody asked for that, or the process ends."""

    code = "cancelled"


class ServerRunning(Conflict):
    code = "server-running"


class Invalid(EntrepotError):
    """The request itself is wrong; repeating it will not help."""

    code = "invalid"


class InvalidName(Invalid):
    code = "invalid-name"


class InvalidArchive(Invalid):
    code = "invalid-archive"


class InvalidSettings(Invalid):
    code = "invalid-settings"


class WrongType(Invalid):
    code = "wrong-type"


class TooLarge(Invalid):
    code = "too-large"


class Unresolvable(Invalid):
    """Requirements that no set of packages meets; `payload["explanation"]` is what the resolver says of it."""

    code = "unresolvable"


class Contradiction(Invalid):
    """What is asked for can't be had together; the message names the smallest part of it that can't."""

    code = "contradiction"

    @classmethod
    def of_all(cls, faults: Sequence[EntrepotError]) -> EntrepotError:
        """One error for several packages."""
        if len(faults) == 1:
            return faults[0]
        return cls("; ".join(fault.message for fault in faults), contradictions=[fault.as_json() for fault in faults])


class WrongProposal(Conflict):
    """A proposal that can't be committed: the source changed since, it was committed, or something else was shown."""

    code = "wrong-proposal"


class StalePreview(Conflict):
    """What somebody was shown before they agreed is not what would happen now."""

    code = "stale-preview"


class UnsupportedSystem(Invalid):
    """A distribution, release or version of R of which nothing can be known here."""

    code = "unsupported-system"


class SchemaMismatch(Invalid):
    """The database has another schema than this version of the program."""

    code = "schema-mismatch"


class InvalidBatch(Invalid):
    """Several faults of one request, reported together; nothing of the request was done.

    `payload["faults"]` lists each as `{"subject", "code", "error", "hint"}`.
    """

    code = "invalid-batch"

    @classmethod
    def of(cls, faults: Sequence[tuple[str, EntrepotError]]) -> EntrepotError:
        """One error for all of `faults` (subject, error); a single fault is returned as it is."""
        if len(faults) == 1:
            return faults[0][1]
        rows = [{"subject": s, **{k: v for k, v in e.as_json().items() if k != "payload"}} for s, e in faults]
        lines = "; ".join(f"{subject}: {error.message}" for subject, error in faults)
        return cls(f"{len(faults)} faults, nothing was changed: {lines}", faults=rows)


class Unauthenticated(EntrepotError):
    code = "unauthenticated"


class IdentityRefused(Unauthenticated):
    """What an issuer of identities vouches for is not what the settings ask for; the message says what, not the whole
    of what came."""

    code = "identity-refused"


class Forbidden(EntrepotError):
    code = "forbidden"


class ScopeRefused(Forbidden):
    """Somebody asks for a token with scopes that they are not given, or that are none."""

    code = "scope-refused"


class TooMany(EntrepotError):
    """Somebody asks too often; `payload["seconds"]` is how long to wait."""

    code = "too-many"


class NotAcceptable(EntrepotError):
    code = "not-acceptable"


class RangeNotSatisfiable(EntrepotError):
    code = "range-not-satisfiable"


class UpstreamUnavailable(EntrepotError):
    """The upstream does not answer, or answers with a server error: worth trying again."""

    code = "upstream-unavailable"


class FileLost(UpstreamUnavailable):
    """A listed file that the store has lost and that can't be fetched again."""

    code = "file-lost"


class NeverSynced(UpstreamUnavailable):
    """A mirror has nothing to show yet, because no sync of it has succeeded."""

    code = "never-synced"


class UpstreamInvalid(EntrepotError):
    """The upstream answered with something that can't be right: an unreadable index, a wrong hash."""

    code = "upstream-invalid"


class HashMismatch(UpstreamInvalid):
    code = "hash-mismatch"


class UpstreamLacksParts(UpstreamInvalid):
    """The upstream gives files as a whole only."""

    code = "upstream-lacks-parts"


class UpstreamLacksFile(UpstreamInvalid):
    """A listed file that the upstream says it does not have."""

    code = "upstream-lacks-file"


class UpstreamLacksIndex(UpstreamInvalid):
    """The upstream has no list of packages where one was expected."""


class OutOfSpace(EntrepotError):
    """This installation's own disk, database or store has no room; nothing was changed."""

    code = "out-of-space"


class Unavailable(EntrepotError):
    """What this installation stands on does not answer: worth trying again."""

    code = "unavailable"


class DatabaseUnavailable(Unavailable):
    code = "database-unavailable"


class StorageFailed(Unavailable):
    """The store could not do it (no permission, S3 away); the message is one line that says why."""

    code = "storage-failed"


class RulesUnavailable(Unavailable):
    """Nobody has read rules of system requirements yet; the hint says how."""

    code = "sysreqs-rules-unavailable"


class SandboxUnavailable(Unavailable):
    """Builds can't be shut off from this machine; the hint says what to install."""

    code = "sandbox-unavailable"


class BuildFailed(EntrepotError):
    """A package could not be built from its Git endpoint; the log of the attempt says how."""

    code = "build-failed"


class BuildStopped(BuildFailed):
    """A build went beyond one of its limits."""

    code = "build-limit"


class EndpointRefused(BuildFailed):
    """A Git endpoint wants other credentials, or isn't the one that it was: its host key changed."""

    code = "build-endpoint-refused"


class EndpointUnavailable(UpstreamUnavailable):
    """A Git endpoint does not answer."""

    code = "git-endpoint-unavailable"


class ServerUnreachable(EntrepotError):
    """The command line could not reach the server that it was told to use."""

    code = "server-unreachable"


KINDS: Mapping[str, type[EntrepotError]] = {
    cls.__name__: cls
    for cls in (
        NotFound,
        Conflict,
        Invalid,
        Unauthenticated,
        Forbidden,
        TooMany,
        NotAcceptable,
        RangeNotSatisfiable,
        UpstreamUnavailable,
        UpstreamInvalid,
        OutOfSpace,
        Unavailable,
        BuildFailed,
        ServerUnreachable,
    )
}
"""The kinds, by meaning; every other error is a leaf of one of them."""
