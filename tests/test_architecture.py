"""The house's rules, read off the imports."""

import ast
import sys
from pathlib import Path

import pytest


def rooms() -> dict[str, list[Path]]:
    """Every module of the installed package, by the room it is in."""
    import labelwright.flows
    import labelwright.tasks

    found = {}
    for package in (labelwright, labelwright.flows, labelwright.tasks):
        base = Path(package.__file__).parent
        for path in base.rglob("*.py"):
            inner = path.relative_to(base)
            if package is labelwright:
                room = inner.parts[0] if len(inner.parts) > 1 else inner.stem
            else:
                room = package.__name__.split(".")[1]
            if path not in found.setdefault(room, []):
                found[room].append(path)
    return found


def imports(path: Path, package: str) -> set[str]:
    """Dotted names of what a module imports, at its top and inside its functions, for types too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            if node.level == 1:
                base = f"labelwright.{package}" + (f".{node.module}" if node.module else "")
            elif node.level == 2:
                base = "labelwright" + (f".{node.module}" if node.module else "")
            names.update({base, *(f"{base}.{alias.name}" for alias in node.names)})
    return names


def starts(name: str, *heads: str) -> bool:
    return any(name == head or name.startswith(f"{head}.") for head in heads)


STDLIB = set(sys.stdlib_module_names)

FORBIDDEN = {
    "flows": (
        "requests",
        "labelwright.platforms",
        "labelwright.stores",
        "labelwright.datasets",
        "labelwright.ledger",
        "labelwright.ingest",
        "labelwright.service",
        "sqlalchemy",
        "azure",
        "http",
        "urllib",
    ),
    "tasks": ("requests", "labelwright.flows", "labelwright.service", "labelwright.demo", "http.client", "urllib"),
    "datasets": ("azure", "prefect", "requests", "http.client", "labelwright.platforms", "labelwright.ledger"),
    "stores": ("prefect", "labelwright.platforms", "labelwright.service", "labelwright.ledger"),
    "platforms": ("prefect", "labelwright.service", "labelwright.tasks", "labelwright.flows", "labelwright.ledger"),
    "database": ("prefect", "requests", "azure", "labelwright"),
    "ledger": ("prefect", "requests", "azure", "labelwright.platforms", "labelwright.tasks", "labelwright.flows"),
    "ingest": ("prefect", "labelwright.ledger", "labelwright.tasks", "labelwright.flows", "labelwright.service"),
    "service": ("prefect", "labelwright.platforms", "labelwright.tasks", "labelwright.flows", "labelwright.ledger"),
}


ALLOWED = {
    "database": ("labelwright.database", "labelwright.domain", "labelwright.security"),
    "stores": ("labelwright.platforms.errors",),
}
"""One tree of errors for everything outside: what may be tried again is told the same by platforms and stores."""


@pytest.mark.parametrize("room", sorted(FORBIDDEN))
def test_a_room_imports_only_what_it_may(room):
    found = rooms()[room]
    assert found
    broken = [
        f"{path.name} imports {name}"
        for path in found
        for name in sorted(imports(path, room))
        if starts(name, *FORBIDDEN[room]) and not starts(name, *ALLOWED.get(room, ()))
    ]
    assert not broken


def test_the_domain_needs_nothing_but_the_standard_library_and_shapely_with_numpy_in_one_module():
    other = {
        (path.name, name.split(".")[0])
        for path in rooms()["domain"]
        for name in imports(path, "domain")
        if name.split(".")[0] not in STDLIB and not starts(name, "labelwright.domain")
    }
    assert other == {("planar.py", "shapely"), ("planar.py", "numpy")}


def test_only_the_domain_imports_shapely():
    users = {path.name for room in rooms().values() for path in room if "import shapely" in path.read_text()}
    assert users == {"planar.py"}


def test_no_adapter_imports_another_one():
    from labelwright.platforms.registry import PLATFORMS

    for path in rooms()["platforms"]:
        if path.name == "registry.py":
            continue
        others = [f"labelwright.platforms.{name}" for name in PLATFORMS if name not in path.parts]
        assert not [name for name in imports(path, "platforms") if starts(name, *others)], path.name


def test_only_the_settings_read_the_environment():
    # azure_ml_v1.py is a program of its own: the SDK that it runs takes its cloud and its home from the environment.
    allowed = {"settings.py", "local.py", "running.py", "cli.py", "azure.py", "azure_ml_v1.py", "up.py", "proxies.py"}
    readers = {
        path.name
        for paths in rooms().values()
        for path in paths
        if "os.environ" in path.read_text(encoding="utf-8") or "getenv" in path.read_text(encoding="utf-8")
    }
    assert readers <= allowed


def test_no_chain_asks_for_a_platform_or_a_format_by_name():
    for paths in rooms().values():
        for path in paths:
            text = path.read_text(encoding="utf-8")
            assert "elif platform ==" not in text, path.name
            assert "elif format ==" not in text, path.name


def test_no_flow_file_bears_a_name_of_one_word():
    assert [path.stem for path in rooms()["flows"] if "_" not in path.stem.strip("_")] == ["__init__"]


def test_no_flow_speaks_of_a_state_as_text():
    from labelwright.domain import State

    states = {state.value for state in State}
    for path in rooms()["flows"]:
        constants = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        assert not constants & states, path.name
