"""What makes a Raspberry Pi a measuring device: services, device names, boot settings, and what installs them."""
