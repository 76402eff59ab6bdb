"""Imports run one way. Each module may import its own layer and those before it, and modules never in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from conftest import REPOSITORY

PACKAGE = REPOSITORY / "imputevae_cli"
LAYERS = [
    [
        "errors",
        "schema",
        "plain_yaml",
        "settings",
        "config",
        "seeds",
        "log",
        "background",
        "bars",
        "passwords",
        "compiled",
        "optional",
    ],
    ["data"],
    ["io"],
    ["masking"],
    ["scoring"],
    ["runtime"],
    ["decoders"],
    ["ensemble"],
    ["imputed", "estimator"],
    ["imputer"],
    ["evaluation", "panels", "tuning"],
    ["report"],
    ["cli"],
    ["__main__"],
]
FORBIDDEN = {
    "data": {"torch", "typer", "cyvcf2", "pysam", "optuna", "rich"},
    "io": {"torch", "typer", "optuna"},
    "scoring": {"torch", "typer", "cyvcf2", "pysam", "optuna"},
    "runtime": {"typer", "cyvcf2", "pysam", "optuna", "rich"},
    "decoders": {"typer", "cyvcf2", "pysam", "optuna", "rich"},
    "ensemble": {"typer", "cyvcf2", "pysam", "optuna", "rich"},
    "imputer": {"typer", "rich", "cyvcf2", "pysam", "optuna"},
    "config": {"numpy", "torch", "cyvcf2"},
}
"""What parts of the package never import, not even inside a function."""
LAYER_OF = {part: number for number, parts in enumerate(LAYERS) for part in parts}
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path != PACKAGE / "__init__.py"
}


def imports_of(path: Path) -> set[str]:
    """Every module that a file names in an import, inside functions too, as dotted names."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):  # what types alone need is not imported when the program runs
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def own_imports(module: str) -> set[str]:
    """The modules of this package that `module` imports."""
    names = {name.removeprefix("imputevae_cli.") for name in imports_of(MODULES[module])}
    return names & MODULES.keys()


def part_of(module: str) -> str:
    """The part that a module is of. Settings of decoders, and their names, are on the floor: `config` reads them."""
    if module == "decoders.registry" or module.endswith(".settings"):
        return "settings"
    return module.split(".")[0]


def test_every_part_has_a_layer():
    assert {part_of(module) for module in MODULES} <= LAYER_OF.keys()


@pytest.mark.parametrize("module", MODULES)
def test_no_import_runs_back(module):
    back = {name for name in own_imports(module) if LAYER_OF[part_of(name)] > LAYER_OF[part_of(module)]}
    assert not back, f"{module} imports {sorted(back)} of a later layer"


def test_no_import_runs_in_a_circle():
    graph = {module: own_imports(module) - {module} for module in MODULES}
    assert graph["imputer"] > {"imputed", "masking.strategies"}
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize("module", [m for m in MODULES if part_of(m) in FORBIDDEN])
def test_parts_keep_to_their_libraries(module):
    top_level = {name.split(".")[0] for name in imports_of(MODULES[module])}
    assert not top_level & FORBIDDEN[part_of(module)]


def test_no_decoder_imports_another():
    for module in MODULES:
        if module.startswith("decoders."):
            room = module.split(".")[1]
            others = {name.split(".")[1] for name in own_imports(module) if name.count(".") == 2}
            assert others <= {room}, f"{module} imports {sorted(others)}"


def test_the_ensemble_knows_no_decoder_by_name():
    for module, path in MODULES.items():
        if module.startswith("ensemble."):
            assert not {name for name in own_imports(module) if name.count(".") == 2}
            text = path.read_text(encoding="utf-8")
            assert not [name for name in ("vae", "knn", "copying") if f'"{name}"' in text], module
