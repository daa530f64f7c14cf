"""C99 for a microcontroller that brings a spectrometer onto the framed serial protocol; README.md tells how."""
