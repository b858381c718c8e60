"""Labels in, bytes out: one writer a file format, and the gate before anything is registered."""
