"""Tools for those who work on ser_kit; nothing of the package needs them."""
