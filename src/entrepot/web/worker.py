"""The worker process: background work alone, without HTTP, until a signal."""

from __future__ import annotations

import signal
import threading

from entrepot.app import open_app
from entrepot.jobs.runner import Runner
from entrepot.operations.setup import ensure_defaults
from entrepot.settings import Settings, describe
from entrepot.web.local import beside_no_server
from entrepot.web.logs import begin_log


def work(settings: Settings) -> None:
    """Carry out jobs and schedules until SIGINT or SIGTERM.

    Raises:
        InvalidSettings: something that the settings name can't be used.
        ServerRunning: a server has the data folder.
    """
    begin_log()
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    data_dir = settings.server.data_dir
    with beside_no_server(data_dir):
        app = open_app(settings)
        try:
            ensure_defaults(app)
            runner = Runner(app, is_alone=False, schedules=True)
            runner.start()
            print(f"Entrepot's worker is ready: jobs of {describe(settings)['database']['url']}", flush=True)
            over.wait()
            runner.stop()
        finally:
            app.close()
