"""Labeling platforms: protocols, errors, an HTTP client, and one sub-package per platform."""

from .errors import AccessDenied, NotFound, PlatformError, PlatformRefused, PlatformUnavailable

__all__ = ["AccessDenied", "NotFound", "PlatformError", "PlatformRefused", "PlatformUnavailable"]
