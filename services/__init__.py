"""The domain: plain async Python. Nothing below this package imports discord."""
