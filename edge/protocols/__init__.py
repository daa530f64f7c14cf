"""Bytes to messages and back, without input or output: one module for each instrument dialect."""
