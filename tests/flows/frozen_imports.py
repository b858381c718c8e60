"""Imported last by the fork server of the crash tests: its workers do not look for garbage in what was imported."""

import gc

gc.freeze()
