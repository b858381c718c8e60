"""Deadlines, sockets, proxies and listening ports."""
