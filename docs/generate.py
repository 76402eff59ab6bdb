"""A hook of MkDocs: pages and tables that are made from the code and from the results of the benchmarks.

Command line, settings, metrics and exit codes are described where they are declared; the tables of the benchmarks are
what `bench/results` holds. A page asks for a table with `<!-- generated: NAME -->`. Formulas between `\\(` and `\\)` or
`\\[` and `\\]` become MathML, which browsers draw by themselves: no page fetches anything from elsewhere.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the code beside these docs, whatever is installed

import typer.main  # noqa: E402

from imputevae_cli import config, errors  # noqa: E402
from imputevae_cli.cli.help import SECTIONS, section_of  # noqa: E402
from imputevae_cli.cli.main import app  # noqa: E402
from imputevae_cli.io.vcf_header import REFINED_DECLARATIONS  # noqa: E402
from imputevae_cli.report.labels import METRICS, MORE_METRICS, class_names  # noqa: E402

RESULTS = ROOT / "bench" / "results"
PLACEHOLDER = re.compile(r"<!-- generated: (\w+) -->")
FENCED = re.compile(r"^([ ]*)(`{3,}|~{3,}).*?^\1\2[ ]*$", re.DOTALL | re.MULTILINE)
DATA = {
    "wgs60": "60 x 3,857, simulated",
    "wgs300": "300 x 7,308, simulated",
    "wgs1500": "1,500 x 6,167, simulated",
    "cross250": "250 x 1,524, four-founder cross",
    "chr1": "255 x 5,910, human array",
    "maize": "281 x 2,902, inbred maize",
    "ril280": "280 x 3,670, simulated nested inbred lines",
    "turtle": "214 x 12,300, box turtle ddRAD",
    "rad200": "198 x 7,091, simulated RAD",
    "oak2sp": "197 x 400, two oak species",
    "oakqs": "98 x 1,708, one oak population",
    "tb": "150 x 495, haploid bacteria",
}
"""The cases of the benchmarks: samples x loci, and what they are."""
LINKED = ("wgs60", "wgs300", "wgs1500", "cross250", "chr1", "maize", "ril280")
FRESH_SEEDS = ("11", "12")
WITH_RARE = ("wgs300", "wgs1500", "chr1", "maize")
"""Linked cases of enough samples to tell how alleles below 1 % are filled."""
UNLINKED = ("turtle", "rad200", "oak2sp", "oakqs", "tb")
LOW_DEPTH = {
    "lowdepth_chr20": "203 x 2,278, human chromosome 20, simulated reads at depth 1",
    "lowdepth_f2": "202 x 2,004, simulated F2 and its parents, depth 0.5, `AD` alone",
    "lowdepth_cross": "250 x 1,524, simulated four-founder cross, depth 0.65",
    "lowdepth_rad": "198 x 7,091, simulated RAD, depth 3",
    "lowdepth_turtle": "214 x 2,616, box turtle ddRAD, reads thinned to 3",
    "fresh_cross_11": "250 x 1,529, another simulated four-founder cross, mean depth 0.4",
    "fresh_wgs60_11": "60 x 2,500, simulated region, depth 0.9",
}
"""The cases of low depth: samples x loci, and what they are."""
POLYPLOIDS = {
    "potato4x_d12": "85 x 1,511, tetraploid potatoes, a diallel, reads thinned to 12",
    "outbred4x": "120 x 360, simulated tetraploids, outbred, depth 20",
    "diallel6x": "100 x 960, simulated hexaploid diallel, depth 20",
    "cross3x": "100 x 960, simulated triploids of 4x and 2x parents, depth 8",
}
"""The polyploid cases, likewise."""
PANELS = {"panel_chr20": "203 humans, 2,186 loci of 24,990"}
ALONE, MIXED = "imputevae haplotype", ("maize", "ril280")
METHODS = {ALONE: "haplotype copying alone", "imputevae copying": "haplotype copying alone"}
METHODS |= {"beagle": "Beagle 5.4", "minimac4, true phase": "Minimac4, true phase", "PG-SUI ImputeVAE": "PG-SUI 1.8.7"}


# --- what MkDocs calls


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made from the code."""
    from mkdocs.structure.files import File

    pages = {
        "reference/cli.md": command_line(),
        "reference/settings.md": settings(),
        "reference/metrics.md": metrics(),
        "reference/exit-codes.md": exit_codes(),
        "tutorials/notebook.md": notebook(ROOT / "docs" / "tutorials" / "notebook.ipynb"),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    }
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in tables and formulas, outside fenced code."""
    parts, at = [], 0
    for fence in FENCED.finditer(markdown):
        parts += [_filled(markdown[at : fence.start()]), fence[0]]
        at = fence.end()
    return "".join([*parts, _filled(markdown[at:])])


def _filled(text: str) -> str:
    text = PLACEHOLDER.sub(lambda found: TABLES[found[1]](), text)
    text = re.sub(r"\\\[(.+?)\\\]", lambda found: f"<div>{_mathml(found[1], 'block')}</div>", text, flags=re.DOTALL)
    return re.sub(r"\\\((.+?)\\\)", lambda found: f"<span>{_mathml(found[1], 'inline')}</span>", text, flags=re.DOTALL)


def _mathml(tex: str, display: str) -> str:
    from latex2mathml.converter import convert

    return convert(" ".join(tex.split()), display=display)


# --- the notebook


def notebook(path: Path) -> str:
    """A Jupyter notebook as a page: its cells in order, the code with what it gave."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            text = output.get("text") or output.get("data", {}).get("text/plain", [])
            parts.append(f"```text\n{''.join(text).rstrip()}\n```")
    parts.insert(1, f"[Download it]({path.name}) to run it yourself.")
    return "\n\n".join(parts)


# --- the command line


def commands() -> dict[str, Any]:
    """Every subcommand, by name."""
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def command_line() -> str:
    """Every command with its options, as `--help` has them."""
    lines = [
        "# Command line\n",
        "Made from the code: `imputevae COMMAND --help` says the same. What the options do together is in the "
        "[how-to pages](../how-to/settings.md).\n",
    ]
    for name, command in commands().items():
        lines += [f"## imputevae {name} {{ #{name} }}\n", f"{inspect.cleandoc(command.help)}\n"]
        lines += ["```\n" + "\n".join(line.strip() for line in command.epilog.splitlines()[1:]) + "\n```\n"]
        sections: dict[str, list[str]] = {}
        for parameter in command.params:
            argument = parameter.param_type_name == "argument"
            section = "Arguments" if argument else section_of(parameter)
            sections.setdefault(section, []).append(_option(parameter, argument))
        for section in ("Arguments", *SECTIONS):
            if section in sections:
                lines += [f"### {section} {{ #{name}-{_slug(section)} }}\n", "| option | what it does | default |"]
                lines += ["|---|---|---|", *sections[section], ""]
    lines += ["## Exit codes\n", "See [Exit codes](exit-codes.md).\n"]
    return "\n".join(lines)


def _option(parameter: Any, argument: bool) -> str:
    names = parameter.metavar or parameter.name.upper() if argument else ", ".join(parameter.opts)
    if not argument and not parameter.is_flag:
        names += f" {parameter.metavar or parameter.type.name.upper()}"
    text, default = parameter.help or "", parameter.default
    said = re.search(r"\s*\[default: (.*?)\]|(\w+) \(the default\)", text)
    if said:
        shown = f"`{said[1] or said[2]}`"
        text = text.replace(said[0], "") if said[1] else text
    else:
        shown = f"`{default:g}`" if _is_number(default) else f"`{default}`" if isinstance(default, str) else ""
    return f"| `{names}` | {_cell(text)} | {shown} |"


def _is_number(thing: Any) -> bool:
    return isinstance(thing, (int, float)) and not isinstance(thing, bool)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _slug(text: str) -> str:
    return re.sub(r"\W+", "-", text.lower()).strip("-")


# --- settings


def settings() -> str:
    """Every key of the settings: type, default, presets, and what it is."""
    lines = [
        "# Settings\n",
        "Made from the schema in the code. Laid over one another: defaults < preset < YAML (`--config`) < flag < "
        "`--set key=value`; `--print-config` shows the result in the form that `--config` reads. An unknown key is an "
        "error that names the nearest one. How to choose: [Choose settings](../how-to/settings.md).\n",
        "Names of version 0.1 are read too: the sections `donors` (now `knn`) and `haplotype` (now `copying`), and "
        "`model.decoder` `global` (now `vae`), `donors` and `haplotype`.\n",
    ]
    defaults = config.Config()
    for section in config.Config.__struct_fields__:
        struct = type(getattr(defaults, section))
        intro, meanings = described(struct)
        lines += [f"## {section}\n", f"{intro}\n" if intro else "", "| key | values | default | what it is |"]
        lines += ["|---|---|---|---|"]
        types = {field.name: field.type for field in msgspec.inspect.type_info(struct).fields}
        for name in struct.__struct_fields__:
            key = f"{section}.{name}"
            default = _yaml(getattr(getattr(defaults, section), name))
            presets = [f"{p}: `{_yaml(changes[key])}`" for p, changes in config.PRESETS.items() if key in changes]
            shown = f"`{default}`" + (f" ({', '.join(presets)})" if presets else "")
            lines.append(f"| `{key}` | {_cell(_values(types[name]))} | {shown} | {_cell(meanings.get(name, ''))} |")
        lines.append("")
    return "\n".join(lines)


def described(struct: Any) -> tuple[str, dict[str, str]]:
    """The first words of a section's docstring, and what it says of each key.

    A docstring describes keys as `key: text.` or `key, key: text.`; `weights_*` stands for all that begin so.
    """
    text = " ".join((struct.__doc__ or "").split())
    fields = struct.__struct_fields__
    stems = {name.rsplit("_", 1)[0] + r"_\*" for name in fields if "_" in name}
    name = "(?:" + "|".join([*sorted(fields, key=len, reverse=True), *sorted(stems)]) + ")"
    heads = list(re.finditer(rf"(?<![\w.])({name}(?:(?:, | and ){name})*): ", text))
    meanings: dict[str, str] = {}
    for i, head in enumerate(heads):
        stop = heads[i + 1].start() if i + 1 < len(heads) else len(text)
        said = text[head.end() : stop].strip().rstrip(".;")
        for each in re.split(", | and ", head[1]):
            for field in fields:
                if field == each or (each.endswith("*") and field.startswith(each[:-1])):
                    meanings[field] = said
    return text[: heads[0].start()].strip() if heads else text, meanings


def _yaml(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return f"{value:g}" if isinstance(value, float) else "{}" if value == {} else str(value)


def _values(kind: Any) -> str:
    """What a key takes, in words."""
    inspected = msgspec.inspect
    if isinstance(kind, inspected.UnionType):
        return " or ".join(_values(one) for one in kind.types)
    if isinstance(kind, inspected.LiteralType):
        return ", ".join(sorted(str(value) for value in kind.values))
    if isinstance(kind, inspected.NoneType):
        return "null"
    if isinstance(kind, inspected.ListType):
        return f"list of {_values(kind.item_type)}"
    names = {"IntType": "whole number", "FloatType": "number", "BoolType": "true, false", "StrType": "text"}
    text = names.get(type(kind).__name__, "mapping")
    bounds = [
        f"{sign} {getattr(kind, word):g}" for word, sign in BOUNDS.items() if getattr(kind, word, None) is not None
    ]
    return f"{text} {', '.join(bounds)}" if bounds else text


BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


# --- metrics, exit codes, fields


def metrics() -> str:
    """Every metric of an evaluation, with its name in the files."""
    lines = [
        "# Metrics\n",
        "Names and meanings are made from the code. All are taken over known calls that were hidden "
        "from the model, the held-out calls, or over those of `--truth`.\n",
        "| name in the files | metric | what it says | better |",
        "|---|---|---|---|",
    ]
    for name, metric in {**METRICS, **MORE_METRICS}.items():
        title = metric.name.format(*class_names(2))
        lines.append(f"| `{name}` | {title} | {metric.meaning} | {'higher' if metric.rises else 'lower'} |")
    return "\n".join([*lines, "", (ROOT / "docs" / "definitions.inc").read_text(encoding="utf-8")])


def exit_codes() -> str:
    """Every exit code, with the errors that end in it."""
    by_code: dict[int, list[str]] = {0: ["Done."], 1: ["A bug (please report it), or memory that ran out."]}
    for error in _subclasses(errors.ImputeVAEError):
        by_code.setdefault(error.exit_code, []).append(" ".join(inspect.cleandoc(error.__doc__ or "").split()))
    by_code.setdefault(2, []).append("An option or argument that does not exist.")
    by_code[130] = ["Interrupted (SIGINT, Ctrl-C); nothing was written."]
    by_code[138] = ["Stopped by SIGUSR1 with nothing to resume; nothing was written."]
    by_code[143] = ["Stopped by SIGTERM with nothing to resume; nothing was written."]
    lines = ["# Exit codes\n", "| code | meaning |", "|---|---|"]
    for code, said in sorted(by_code.items()):
        more = " Run the same command again with `--resume`." if code == 75 else ""
        lines.append(f"| {code} | {' '.join(said)}{more} |")
    return "\n".join([*lines, "", EXIT_NOTE])


EXIT_NOTE = """Every expected error is one line on standard error: what, where, and how to fix it. `--debug` adds a
traceback. Data goes to standard output, everything else to standard error. An output appears whole or not at all.
"""


def _subclasses(kind: type) -> Iterator[Any]:
    for one in kind.__subclasses__():
        yield one
        yield from _subclasses(one)


def vcf_fields() -> str:
    """The fields that an imputed VCF gains, from their declarations."""
    lines = ["| field | Number | Type | meaning |", "|---|---|---|---|"]
    for (where, name), line in REFINED_DECLARATIONS.items():
        parts = re.findall(rb'Number=(.*?),Type=(.*?),Description="(.*?)"', line)[0]
        number, kind, meaning = (part.decode() for part in parts)
        lines.append(f"| `{where.decode()}/{name.decode()}` | {number} | {kind} | {meaning} |")
    return "\n".join(lines)


def decoders() -> str:
    """Which decoders take part, where calls are certain and where they are not, as their roles have it."""
    from imputevae_cli.decoders import registry
    from imputevae_cli.ensemble.plan import Data, takes_part

    heads = ["decoder", "`model.decoder`", "where calls are certain", "where they are uncertain", "polyploids"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    data = (Data(0), Data(0, is_uncertain=True), Data(0, is_uncertain=True, ploidy=4))
    for name, decoder in registry.every().items():
        parts = [takes_part(decoder.role, one) for one in data]
        said = ["takes part" if part else "no" for part in parts]
        lines.append(f"| {decoder.title} | `{name}` | {' | '.join(said)} |")
    return "\n".join(lines)


# --- benchmarks

PARTS = {
    ("multiallelic", "autosomes"): "two alleles",
    ("outcross", "autosomes"): "two alleles",
    ("genome", "autosomes"): "20 autosomes",
}
"""Parts of `bench/whole_files.py` in other words."""


def _rows(name: str) -> list[dict[str, Any]]:
    return json.loads((RESULTS / f"{name}.json").read_text())["rows"]


def _figure(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def bench_linked() -> str:
    """imputevae beside Beagle, from bench/results/ld.json."""
    lines = [
        "| data | tool | concordance | NRD | r2 | log loss | wall s | peak MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows = _rows("ld")
    for case in LINKED:
        first = True
        for row in (row for row in rows if row["case"] == case):
            if row["method"] == ALONE and case not in MIXED:
                continue  # there `auto` chose the same
            name = METHODS.get(row["method"], f"**{row['method']}**")
            cells = [_figure(row["concordance"]), _figure(row["nrd"]), _figure(row["skill_r2"], 3)]
            cells += [_figure(row["log_loss"]), f"{row['wall_s']:.0f}", f"{row['peak_mb']:.0f}"]
            lines.append(f"| {DATA[case] if first else ''} | {name} | {' | '.join(cells)} |")
            first = False
    return "\n".join(lines)


def bench_by_frequency() -> str:
    """NRD of imputevae and Beagle by minor-allele frequency, from bench/results/ld.json."""
    rows = [row for row in _rows("ld") if row["method"] in ("imputevae", "beagle")]
    bins = list(rows[0]["nrd_by_maf"])
    lines = [f"| data, NRD by MAF | tool | {' | '.join(bins)} |", "|---" * (len(bins) + 2) + "|"]
    for case in WITH_RARE:
        for row in (row for row in rows if row["case"] == case):
            name = METHODS.get(row["method"], f"**{row['method']}**")
            figures = [_figure(row["nrd_by_maf"][bin_]) for bin_ in bins]
            lines.append(f"| {DATA[case]} | {name} | {' | '.join(figures)} |")
    return "\n".join(lines)


def bench_fresh() -> str:
    """NRD of imputevae and Beagle on simulations of two seeds, from bench/results/fresh.json."""
    rows = {(row["case"], row["method"]): row["nrd"] for row in _rows("fresh")}
    kinds = sorted({case.rpartition("_")[0] for case, _ in rows})
    lines = [f"| NRD, seeds {', '.join(FRESH_SEEDS)} | imputevae | Beagle 5.4 |", "|---|---|---|"]
    for kind in kinds:
        found = [[rows[f"{kind}_{seed}", tool] for seed in FRESH_SEEDS] for tool in ("imputevae", "beagle")]
        lines.append(f"| {kind} | {' | '.join(', '.join(map(_figure, figures)) for figures in found)} |")
    return "\n".join(lines)


def bench_unlinked() -> str:
    """NRD and r2 of every method on the same held-out calls, from bench/results/rad.json."""
    rows = _rows("rad")
    names = list(dict.fromkeys(row["method"] for row in rows if row["method"] != "commonest genotype"))
    lines = ["| NRD / r2 | " + " | ".join(METHODS.get(name, name) for name in names) + " |"]
    lines.append("|---" * (len(names) + 1) + "|")
    for case in UNLINKED:
        found = {row["method"]: row for row in rows if row["case"] == case}
        best = min(row["nrd"] for row in found.values())
        cells = []
        for row in (found[name] for name in names):
            nrd = f"{row['nrd']:.3f}"
            cells.append(f"{f'**{nrd}**' if row['nrd'] == best else nrd} / {row['skill_r2']:.2f}")
        lines.append(f"| {DATA[case]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def bench_accuracy() -> str:
    """imputevae alone on data without linkage, from bench/results/rad.json."""
    lines = ["| data | concordance | NRD | r2 | log loss | CPU s | peak MB |", "|---|---|---|---|---|---|---|"]
    rows = {row["case"]: row for row in _rows("rad") if row["method"] == "imputevae"}
    for case in UNLINKED:
        row = rows[case]
        cells = [
            _figure(row["concordance"]),
            _figure(row["nrd"]),
            _figure(row["skill_r2"], 3),
            _figure(row["log_loss"]),
        ]
        lines.append(f"| {DATA[case]} | {' | '.join(cells)} | {row['cpu_s']:.0f} | {row['peak_mb']:.0f} |")
    return "\n".join(lines)


def bench_decoders() -> str:
    """Each decoder alone beside `auto`: log loss of whole cases at seed 1, from bench/results/auto.json."""
    names = {"auto": "auto", "vae": "VAE", "knn": "nearest neighbours", "copying": "haplotype copying"}
    rows = [row for row in _rows("auto") if (row["copy"], row["seed"]) == ("full", 1)]
    lines = ["| log loss | " + " | ".join(names.values()) + " |", "|---" * (len(names) + 1) + "|"]
    for case in (*LINKED, *UNLINKED):
        found = {row["decoder"]: row["log_loss"] for row in rows if row["case"] == case}
        if found:
            best = min(found.values())
            cells = [f"**{v:.4f}**" if v == best else _figure(v) for v in (found.get(name) for name in names)]
            lines.append(f"| {DATA[case]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def bench_presets() -> str:
    """`--preset fast` beside the defaults, from bench/results/presets.json."""
    lines = ["| data | CPU s | with `fast` | NRD | with `fast` | log loss | with `fast` |", "|---" * 7 + "|"]
    for case in (*LINKED, *UNLINKED):
        found = {row["method"]: row for row in _rows("presets") if row["case"] == case}
        if found:
            both = found["balanced"], found["fast"]
            cells = [f"{row['cpu_s']:.1f}" for row in both]
            cells += [_figure(row[key]) for key in ("nrd", "log_loss") for row in both]
            lines.append(f"| {DATA[case]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def bench_lowdepth() -> str:
    """Every cell that the truth knows, visible ones too, from bench/results/lowdepth.json."""
    lines = ["| data | tool | NRD | r2 | log loss | ECE |", "|---|---|---|---|---|---|"]
    for case, data in LOW_DEPTH.items():
        for number, row in enumerate(row for row in _rows("lowdepth") if row["case"] == case):
            ours = row["method"] == "imputevae"
            name = f"**imputevae** ({row['cpu_s']:.0f} CPU s)" if ours else row["method"]
            nrd = _figure(row["nrd"], 3)
            if row["nrd"] is None and row["concordance"] is not None:
                nrd = f"- (concordance {row['concordance']:.3f})"
            elif case == "lowdepth_f2" and ours:
                nrd += f" (concordance {row['concordance']:.4f})"
            cells = [nrd, *(_figure(row[key], 3) for key in ("r2", "log_loss", "ece"))]
            lines.append(f"| {data if number == 0 else ''} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def bench_polyploids() -> str:
    """Every cell that the truth knows, visible ones too, from bench/results/polyploids.json."""
    lines = [
        "| data | tool | concordance | RMSE | RMSE, hidden cells | log loss | ECE |",
        "|---|---|---|---|---|---|---|",
    ]
    for case, data in POLYPLOIDS.items():
        for number, row in enumerate(row for row in _rows("polyploids") if row["case"] == case):
            ours = row["method"].startswith("imputevae")
            name = f"**imputevae** ({row['cpu_s']:.0f} CPU s)" if ours else row["method"]
            cells = [_figure(row["all"]["concordance"], 3), _figure(row["all"]["rmse"], 3)]
            cells += [_figure(row["hidden"]["rmse"], 3), *(_figure(row["all"][key], 3) for key in ("log_loss", "ece"))]
            lines.append(f"| {data if number == 0 else ''} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def bench_whole() -> str:
    """NRD of each part of whole files, a figure a seed, from bench/results/whole_files.json."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for row in _rows("whole_files"):
        found.setdefault((row["case"], row["part"], row["method"]), []).append(_figure(row["nrd"], 3))
    lines = ["| file | part | imputevae | Beagle 5.4 |", "|---|---|---|---|"]
    for case, part in dict.fromkeys(key[:2] for key in found):
        cells = [" / ".join(found.get((case, part, method), ["-"])) for method in ("imputevae", "Beagle 5.4")]
        lines.append(f"| {case} | {PARTS.get((case, part), part)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def bench_panels() -> str:
    """Loci that only the panel has, from bench/results/panels.json."""
    lines = ["| targets | tool | NRD | r2 by minor-allele frequency | log loss | ECE | CPU s |", "|---" * 7 + "|"]
    last = None
    for row in _rows("panels"):
        case = PANELS.get(row["case"], f"simulated, seed {row['case'].removeprefix('seed')}")
        name = METHODS.get(row["method"], row["method"])
        name = f"**{name}**" if name.startswith("imputevae") else name
        cells = [_figure(row["nrd"]), " / ".join(_figure(value, 3) for value in row["r2_by_maf"].values())]
        cells += [_figure(row["log_loss"]), _figure(row["ece"]), f"{row['cpu_s']:.0f}"]
        lines.append(f"| {case if case != last else ''} | {name} | {' | '.join(cells)} |")
        last = case
    return "\n".join(lines)


def bench_scale() -> str:
    """Time and memory along samples and along loci, from bench/results/scale.json."""
    runs = json.loads((RESULTS / "scale.json").read_text())["runs"]
    lines = ["| samples x loci | CPU s | peak MB | 4 bytes a cell + 500 MB |", "|---|---|---|---|"]
    for name, run in runs.items():
        if name.startswith(("samples:", "loci:")):
            size = f"{run['samples']:,} x {run['loci']:,}"
            lines.append(f"| {size} | {run['cpu_s']:.0f} | {run['peak_mb']} | {run['bound_mb']} |")
    return "\n".join(lines)


TABLES: dict[str, Callable[[], str]] = {
    table.__name__: table
    for table in (
        vcf_fields,
        decoders,
        bench_linked,
        bench_by_frequency,
        bench_fresh,
        bench_unlinked,
        bench_accuracy,
        bench_decoders,
        bench_presets,
        bench_lowdepth,
        bench_polyploids,
        bench_whole,
        bench_panels,
        bench_scale,
    )
}
"""What `<!-- generated: NAME -->` may ask for."""
