"""The log of readings: one SQLite file, written before anything is shown."""
