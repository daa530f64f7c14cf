"""Is this device fit to measure?"""
