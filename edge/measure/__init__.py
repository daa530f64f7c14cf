"""Measuring sessions: what to ask, what to do, and what comes of it."""
