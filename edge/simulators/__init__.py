"""Virtual instruments for tests, demonstrations and an integrator's desk."""
