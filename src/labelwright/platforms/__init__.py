"""Labeling platforms: the small protocols, the error tree, and one adapter a module."""

from .errors import AccessDenied, NotFound, PlatformError, PlatformRefused, PlatformUnavailable

__all__ = ["AccessDenied", "NotFound", "PlatformError", "PlatformRefused", "PlatformUnavailable"]
