"""The documentation builds without a warning, and its reference holds every option and every setting."""

import html
import re
import subprocess
import sys

import pytest
from conftest import REPOSITORY, environment

import imputevae_cli
from imputevae_cli import Config
from imputevae_cli.config import setting_keys
from imputevae_cli.io.formats.registry import FORMATS

pytest.importorskip("mkdocs")
sys.path.insert(0, str(REPOSITORY / "docs"))
import generate

DOCS = REPOSITORY / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", REPOSITORY / "mkdocs.yml"]
    settled = {**environment(), "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run([*command, "-d", folder], capture_output=True, text=True, env=settled, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def text_of(site, page):
    return html.unescape(re.sub(r"<[^>]+>", "", (site / page / "index.html").read_text(encoding="utf-8")))


def test_every_command_and_option_is_in_the_reference(site):
    text = text_of(site, "reference/cli")
    for name, command in generate.commands().items():
        assert f"imputevae {name}" in text
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.help, f"{name} {parameter.opts}: has no help"
                for option in parameter.opts:
                    assert option in text
    assert "--output-type KIND" in text


def test_every_setting_is_in_the_reference_and_is_described(site):
    text = text_of(site, "reference/settings")
    for key in setting_keys():
        assert key in text
    config = Config()
    for section in Config.__struct_fields__:
        struct = type(getattr(config, section))
        intro, meanings = generate.described(struct)
        assert intro, section
        assert set(meanings) == set(struct.__struct_fields__), section


def test_every_exit_code_is_in_the_reference(site):
    text = text_of(site, "reference/exit-codes")
    for code in (0, 1, 2, 3, 4, 5, 6, 75, 130, 138, 143):
        assert re.search(rf"^{code}$", text, re.MULTILINE), code


def test_the_python_api_is_in_the_reference(site):
    text = text_of(site, "reference/python")
    own = set(imputevae_cli.__all__) - {"__version__"}
    for name in (*own, "write_phylip", "from_dataframe", "to_anndata", "fit_transform", "set_params"):
        assert name in text, name


def test_every_kind_of_output_is_on_the_page_of_formats(site):
    text = text_of(site, "reference/formats")
    for one in FORMATS:
        for word in (*one.endings, one.key, *one.appended, *one.replaced):
            assert word in text


def test_the_notebook_is_a_page_with_what_its_cells_gave(site):
    text = text_of(site, "tutorials/notebook")
    assert "<GenotypeMatrix: 90 samples x 601 loci" in text
    assert "imputed.012.pos" in text
    assert (site / "tutorials" / "notebook.ipynb").is_file()


def test_no_page_fetches_anything_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"(?:https?:)?//[^\"]+\"", text)
        assert not [tag for tag in fetched if 'rel="canonical"' not in tag], page


def test_nothing_is_left_unfilled(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "<!-- generated" not in text, page
        assert "\\(" not in re.sub(r"<(code|script)\b.*?</\1>", "", text, flags=re.DOTALL), page


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (REPOSITORY / target).exists(), target


def test_the_readme_has_the_figures_of_the_benchmarks():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for table, cases in (("ld", generate.LINKED), ("rad", generate.UNLINKED)):
        for row in generate._rows(table):
            if row["method"] == "imputevae" and row["case"] in cases:
                line = next(line for line in text.splitlines() if line.startswith(f"| {generate.DATA[row['case']]} |"))
                assert f"{row['nrd']:.3f}" in line, line
