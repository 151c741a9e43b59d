"""Background work: one file per kind of job, and the runner that carries them out in this process."""
