"""Typed client of our own API; what administrators' programs and the command line use."""

from entrepot.client.api import PAGE_LIMIT, Client
from entrepot.client.multipart import Multipart
from entrepot.client.shapes import ApiError, Change, Fault, Job, Outcome, Page, Progress, Repository, Source, Sync

__all__ = [
    "PAGE_LIMIT",
    "ApiError",
    "Change",
    "Client",
    "Fault",
    "Job",
    "Multipart",
    "Outcome",
    "Page",
    "Progress",
    "Repository",
    "Source",
    "Sync",
]
