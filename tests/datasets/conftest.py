from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

# The tests run with --import-mode=importlib, which puts no folder of theirs on the path.
_spec = importlib.util.spec_from_file_location("dataset_samples", Path(__file__).with_name("samples.py"))
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
sys.modules["dataset_samples"] = _module
_spec.loader.exec_module(_module)
