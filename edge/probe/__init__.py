"""The virtual probe: a program that plays an instrument on a pseudo-terminal or a TCP port, and can misbehave."""
