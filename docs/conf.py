"""The documentation site: ``python -m sphinx -W docs OUT`` builds it, without a network connection."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from multiscale.version import __version__  # noqa: E402

project = "multiscale"
author = "the authors of multiscale"
copyright = "the authors of multiscale; Apache-2.0"  # noqa: A001  the name that Sphinx reads
release = version = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "siteparts.pages", "siteparts.docstrings", "siteparts.mathml"]
exclude_patterns = ["siteparts", "generated/.*", "_build", "**/.ipynb_checkpoints"]
nitpicky = False
html_math_renderer = "mathml"

# Existing pages are read as they are on the repository's own pages: headings are targets of links, as there.
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
suppress_warnings = ["myst.header"]  # a page may begin with the level of heading that it has in another one

# Notebooks are executed at every build: what a page shows is what this version answers.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
autodoc_use_type_comments = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"multiscale {__version__}"
html_static_path = ["siteparts/static"]
html_css_files = ["site.css"]
html_copy_source = False
