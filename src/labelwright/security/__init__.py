"""Secrets kept out of what is shown or written, private files, and the service's proof of identity."""
