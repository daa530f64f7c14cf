"""The bundle and the recorded samples that come with the package."""
