"""The page that the device serves to a phone: what the log has, and a measuring day led from it."""
