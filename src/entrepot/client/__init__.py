"""Typed client of our own API; what administrators' programs and the command line use."""

from entrepot.client.api import Client
from entrepot.client.audit import ActRow, Verification
from entrepot.client.binaries import Binary
from entrepot.client.bioconductor import BioconductorVersion
from entrepot.client.builders import Build, Builder, Started
from entrepot.client.calls import PAGE_LIMIT
from entrepot.client.credentials import Credential
from entrepot.client.jobs import OVER
from entrepot.client.multipart import Multipart
from entrepot.client.setups import Block, Setup
from entrepot.client.shapes import (
    ApiError,
    Change,
    CheckedEntry,
    Checking,
    Completeness,
    Difference,
    Fault,
    Job,
    Line,
    Outcome,
    PackageDifference,
    Page,
    Progress,
    Proposal,
    Repository,
    Source,
    Sync,
)
from entrepot.client.targets import BinaryBuild, BuildTarget, StartedTarget
from entrepot.client.tokens import CreatedToken, Token, Who

__all__ = [
    "OVER",
    "PAGE_LIMIT",
    "ActRow",
    "ApiError",
    "Binary",
    "BinaryBuild",
    "BioconductorVersion",
    "Block",
    "Build",
    "BuildTarget",
    "Builder",
    "Change",
    "CheckedEntry",
    "Checking",
    "Client",
    "Completeness",
    "CreatedToken",
    "Credential",
    "Difference",
    "Fault",
    "Job",
    "Line",
    "Multipart",
    "Outcome",
    "PackageDifference",
    "Page",
    "Progress",
    "Proposal",
    "Repository",
    "Setup",
    "Source",
    "Started",
    "StartedTarget",
    "Sync",
    "Token",
    "Verification",
    "Who",
]
