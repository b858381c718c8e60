"""The import rules between packages, read from the source (`docs/how-it-works.md` explains them)."""

from __future__ import annotations

import ast
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import labelwright
import labelwright.flows
import labelwright.tasks

ROOTS = {
    "labelwright": Path(labelwright.__file__).parent,
    "labelwright.flows": Path(labelwright.flows.__file__).parent,
    "labelwright.tasks": Path(labelwright.tasks.__file__).parent,
}

MAY_IMPORT: dict[str, frozenset[str]] = {
    "domain": frozenset(),
    "imaging": frozenset(),
    "security": frozenset({"domain"}),
    "network": frozenset({"domain", "security"}),
    "settings": frozenset({"domain", "security"}),
    "database": frozenset({"domain", "security"}),
    "datasets": frozenset({"domain", "imaging", "network"}),
    "ledger": frozenset({"domain", "security", "database", "network"}),
    "platforms": frozenset({"domain", "imaging", "security", "network"}),
    "ingest": frozenset({"domain", "imaging", "security", "network", "settings", "platforms"}),
    "stores": frozenset({"domain", "security", "network", "settings", "datasets", "ingest", "platforms"}),
    "service": frozenset({"domain", "imaging", "security", "network", "database"}),
    "campaigns": frozenset(
        {"domain", "security", "network", "settings", "datasets", "ledger", "platforms", "ingest", "stores"}
    ),
    "operations": frozenset(
        {
            "domain",
            "security",
            "network",
            "settings",
            "datasets",
            "ledger",
            "platforms",
            "campaigns",
            "prefect_integration",
        }
    ),
    "receiver": frozenset({"domain", "security", "network", "settings", "ledger", "platforms", "campaigns"}),
    "local": frozenset({"domain", "security", "network", "settings", "campaigns"}),
    "prefect_integration": frozenset(
        {"domain", "security", "network", "settings", "platforms", "ingest", "campaigns", "ledger", "local"}
    ),
    "tasks": frozenset(
        {
            "domain",
            "security",
            "network",
            "settings",
            "datasets",
            "ledger",
            "platforms",
            "ingest",
            "stores",
            "campaigns",
            "prefect_integration",
        }
    ),
    "flows": frozenset({"domain", "campaigns", "tasks"}),
    "demo": frozenset({"domain", "network", "platforms"}),
    "doctor": frozenset(
        {
            "domain",
            "security",
            "network",
            "settings",
            "database",
            "ledger",
            "platforms",
            "ingest",
            "stores",
            "campaigns",
            "prefect_integration",
        }
    ),
}
"""What each package may import of Labelwright. `api`, `cli` and the program's entry import anything."""

MAY_IMPORT_PREFECT = frozenset({"tasks", "flows", "prefect_integration", "cli", "local", "doctor"})

FORBIDDEN_LIBRARIES = {
    "flows": ("requests", "sqlalchemy", "azure", "http", "urllib"),
    "tasks": ("requests", "http.client", "urllib"),
    "datasets": ("azure", "requests", "http.client", "sqlalchemy"),
    "ledger": ("requests", "azure"),
}


@cache
def modules() -> dict[str, Path]:
    """Every module of the installed package by its dotted name."""
    names = {}
    for name, folder in ROOTS.items():
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            names[".".join([name, *parts]).removesuffix(".__init__")] = path
    return names


def package_of(module: str) -> str:
    """The first part after `labelwright.`; "" for the program's entry and the top package."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else ""


@cache
def imports(module: str) -> frozenset[str]:
    """Dotted names that a module imports, at its top and inside functions, without those for type checkers only."""
    path = modules()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: set[str] = set()
    nodes: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                names.add(full if full in modules() else base)
        nodes.extend(ast.iter_child_nodes(node))
    return frozenset(names)


def is_in(name: str, *heads: str) -> bool:
    return any(name == head or name.startswith(f"{head}.") for head in heads)


def test_every_package_has_an_import_rule():
    packages = {package_of(name) for name in modules()} - {""}
    assert packages == {*MAY_IMPORT, "api", "cli"}


def test_only_settings_and_the_entry_are_modules_at_the_root():
    assert {path.name for path in ROOTS["labelwright"].glob("*.py")} == {"__init__.py", "__main__.py", "settings.py"}


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_a_package_imports_only_what_its_rule_allows(package):
    violations = [
        f"{module} imports {name}"
        for module in modules()
        if package_of(module) == package
        for name in sorted(imports(module))
        if name.startswith("labelwright.") and package_of(name) not in {*MAY_IMPORT[package], package}
    ]
    assert not violations


def test_only_what_runs_flows_imports_prefect():
    users = {package_of(module) for module in modules() if any(is_in(name, "prefect") for name in imports(module))}
    assert users <= MAY_IMPORT_PREFECT


@pytest.mark.parametrize("package", sorted(FORBIDDEN_LIBRARIES))
def test_a_package_leaves_libraries_to_lower_packages(package):
    violations = [
        f"{module} imports {name}"
        for module in modules()
        if package_of(module) == package
        for name in sorted(imports(module))
        if is_in(name, *FORBIDDEN_LIBRARIES[package])
    ]
    assert not violations


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: {name for name in imports(module) if name in modules()} - {module} for module in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_domain_needs_only_the_standard_library_and_shapely_in_one_module():
    imported = {
        (modules()[module].name, name.split(".")[0])
        for module in modules()
        if package_of(module) == "domain"
        for name in imports(module)
        if name.split(".")[0] not in {*sys.stdlib_module_names, "labelwright"}
    }
    assert imported == {("planar.py", "shapely"), ("planar.py", "numpy")}


def test_only_one_module_imports_shapely():
    users = {modules()[module].name for module in modules() if any(is_in(name, "shapely") for name in imports(module))}
    assert users == {"planar.py"}


def test_no_platform_imports_another_one():
    from labelwright.platforms.registry import PLATFORMS

    for module in modules():
        platform = module.split(".")[2] if module.startswith("labelwright.platforms.") else ""
        if platform in PLATFORMS:
            other_platforms = [f"labelwright.platforms.{name}" for name in PLATFORMS if name != platform]
            assert not [name for name in imports(module) if is_in(name, *other_platforms)], module


def test_flows_of_all_platforms_name_none():
    from labelwright.platforms.registry import PLATFORMS

    for module in modules():
        if package_of(module) == "flows" and not module.startswith("labelwright.flows.platforms"):
            names = imports(module)
            assert not [name for name in names if is_in(name, "labelwright.tasks.platforms")], module
            text = modules()[module].read_text(encoding="utf-8")
            assert not [name for name in PLATFORMS if f'"{name}"' in text], module


ENVIRONMENT_READERS = {
    "labelwright.settings",
    "labelwright.network.proxies",  # proxy variables are requests' own
    "labelwright.stores.azure_ml.sdk_v1",  # a program of its own: the SDK takes its cloud and home from the environment
    "labelwright.ingest.upload.azure_client",  # the account's own proxy and CA variables
}


def test_only_settings_read_the_environment():
    readers = {
        module
        for module, path in modules().items()
        if package_of(module) not in {"cli", "local", "prefect_integration"}
        and any(text in path.read_text(encoding="utf-8") for text in ("os.environ", "getenv"))
    }
    assert readers <= ENVIRONMENT_READERS


def test_no_chain_asks_for_a_platform_or_a_format_by_name():
    for path in modules().values():
        text = path.read_text(encoding="utf-8")
        assert "elif platform ==" not in text, path.name
        assert "elif format ==" not in text, path.name


def test_flow_files_are_named_after_what_they_do():
    names = [path.stem for path in ROOTS["labelwright.flows"].glob("*.py")]
    assert [name for name in names if "_" not in name.strip("_")] == ["__init__"]


def test_no_flow_writes_a_state_as_text():
    from labelwright.domain import State

    states = {state.value for state in State}
    for path in ROOTS["labelwright.flows"].rglob("*.py"):
        constants = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        assert not constants & states, path.name
