"""Background work: one file per kind of job, and what carries them out.

A job is a row of `jobs`: its kind, its payload, the source that it is for, who asked (`actor`), its state. To add a
kind of job:

- `jobs/<kind>.py` with `run(app, job, work) -> dict`: does the work and returns the result, plain JSON values. It
  calls an operation and hands it `work.report` (and `work.log`), so the operation does not know of jobs. Both may be
  called anywhere, also within a write transaction. `report` raises `Cancelled` when the job shall end.
- a line in `RUN` (`jobs/kinds.py`), with the waits after failures that are worth another try.
- an operation that asks for it: `db.jobs.request` within `app.db.write(shows=False)` gives the job of that (kind,
  source) which waits or runs already, else a new one. So there is one at a time for each.
- a route that calls this operation, then `context.runner.wake(job.id)`, and answers 202 with the job.
- a command that calls the client and then `cli.jobs.wait_or_tell`.

A job may be begun again at any time: its process was killed, or its worker ended. So `run` is written such that doing
it twice is doing it once.
"""
