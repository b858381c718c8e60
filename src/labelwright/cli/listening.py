"""Errors of servers that cannot open their port."""

from __future__ import annotations

import errno
import socket


def is_address_error(error: OSError) -> bool:
    """Whether the address or port cannot be listened on; otherwise a file or folder cannot be used."""
    if isinstance(error, socket.gaierror) or error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return True
    return error.errno == errno.EACCES and error.filename is None  # a port below 1024
