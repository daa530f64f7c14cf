"""Where spectra come from: files, a drop folder, a port, a recording."""
