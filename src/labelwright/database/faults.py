"""What to do when a connection to a database fails: told apart by the message, since libpq passes no error code on."""

from __future__ import annotations

import re

_ADVICE = (
    # The server's own refusals.
    (
        r"password authentication failed|no password supplied|role .* does not exist|is not permitted to log in"
        r"|authentication failed",
        "Its server runs and refuses user or password: correct them in {setting} (special characters of a password are "
        "percent-encoded: @ is %40)",
    ),
    (
        r"database .* does not exist",
        "Its server runs and has no database of that name: correct the name in {setting}, or create the database, "
        "see docs/operating.md",
    ),
    (r"permission denied for database", "Grant the role CONNECT on that database, see docs/operating.md"),
    (
        r"no pg_hba\.conf entry.*(no encryption|SSL off)",
        "Its server takes this user with TLS only: add ?sslmode=require to {setting}. If it says the same then, its "
        "pg_hba.conf lacks this host",
    ),
    (r"no pg_hba\.conf entry", "Its server does not take this user from this host: add a line to its pg_hba.conf"),
    (
        r"server does not support SSL",
        "{setting} asks for TLS (sslmode) and its server has none: turn TLS on at the server (ssl = on), or remove "
        "sslmode from the URL where the network is trusted",
    ),
    (
        r"certificate|SSL error|tlsv1",
        "Its server's certificate is not trusted here: name its authority's file in {setting} (sslrootcert=FILE)",
    ),
    (
        r"too many (clients|connections)|remaining connection slots",
        "Its server has no connection left: raise max_connections there, or end clients that need none",
    ),
    (r"starting up|shutting down|recovery mode", "Its server is starting or stopping: try again in a minute"),
    # Nothing of the server was reached.
    (
        r"failed to resolve host|could not translate host name|Name or service not known",
        "The host's name is unknown on this machine: correct the host in {setting}, or see why DNS does not know it",
    ),
    (
        r"Connection refused|Is the server running|No such file or directory",
        "Nothing listens there: start the database, or correct host and port in {setting}",
    ),
    (
        r"timeout|timed out|No route to host|unreachable",
        "Its host does not respond: see whether it is up, and whether a firewall lets this machine through; or correct "
        "host and port in {setting}",
    ),
    # SQLite.
    (r"unable to open database file", "See whether the folder exists and this user may write there, or set {setting}"),
    (r"database is locked", "Another program holds the file: end it, or try again later"),
    (r"file is not a database", "That file is something else: move it away, or name another one in {setting}"),
)


def connection_advice(error: BaseException, setting: str) -> str:
    """What to do about a connection that failed; `setting` is where its URL is."""
    message = str(getattr(error, "orig", None) or error)
    for pattern, advice in _ADVICE:
        if re.search(pattern, message, re.I):
            return advice.format(setting=setting)
    return f"Check the database's server, and {setting}"
