"""How Sphinx builds the documentation: `sphinx-build -W docs build/docs`."""

import re

import probe

project = "probe"
author = "the probe developers"
version = release = probe.__version__

extensions = ["sphinx.ext.autodoc", "numpydoc", "myst_parser"]
exclude_patterns = ["conf.py", "generate.py"]

html_theme = "furo"
html_title = f"probe {version}"
html_show_copyright = False

myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings name types, and shapes too
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_attributes_as_param_list = True

MARKUP = re.compile(r"(?<![*\\`\w])(\*{1,2})(?=[a-z_]+\b(?!\*))|(\||(?<=\w)_(?!\w))")


def escape_formulas(app, what, name, obj, options, lines):
    """Show `(n_samples, *input_shape)`, `|x|` and `x_` in docstrings as they are: reST would read them as markup."""
    for index, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            pieces = line.split("`")
            pieces[::2] = [
                MARKUP.sub(lambda mark: "".join(f"\\{sign}" for sign in mark[0]), piece)
                for piece in pieces[::2]
            ]
            lines[index] = "`".join(pieces)


def setup(app):
    app.connect("autodoc-process-docstring", escape_formulas, priority=100)
