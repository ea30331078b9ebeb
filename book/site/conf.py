"""Sphinx's settings, for both languages. build.py passes the language as a tag: -t zh or -t en."""

from importlib.metadata import distribution

from book.site.words import SPHINX_LANGUAGE, WORDS

LANGUAGE = "zh" if tags.has("zh") else "en"  # type: ignore[name-defined]  # noqa: F821  Sphinx puts tags here
SAY = WORDS[LANGUAGE]
MATHJAX = distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline/static/mathjax/tex-svg-full.js")

project = "MiniLLM"
author = copyright = "The MiniLLM contributors"
language = SPHINX_LANGUAGE[LANGUAGE]
locale_dirs = ["locale"]  # below the sources
extensions = ["myst_nb", "sphinx_copybutton", "book.site.extension"]

nb_execution_mode = "off"  # the notebooks come with their outputs
nb_merge_streams = True
nb_code_prompt_show = nb_code_prompt_hide = SAY["code"]  # of cells tagged hide-input
myst_enable_extensions = ["amsmath", "attrs_block", "colon_fence", "dollarmath"]
myst_dmath_double_inline = True  # $$ within a line, as JupyterLab allows
suppress_warnings = ["mystnb.unknown_mime_type"]  # outputs carry several forms, and the page takes the best it knows

html_theme = "sphinx_book_theme"
html_title = SAY["title"]
html_static_path = ["static", str(MATHJAX)]
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_favicon = "static/favicon.svg"
html_copy_source = False
html_show_sourcelink = False
html_search_language = "minillm"
templates_path = ["templates"]
html_sidebars = {"**": ["navbar-logo.html", "search-button-field.html", "sbt-sidebar-nav.html"]}
html_theme_options = {
    "article_header_end": ["article-header-buttons.html"],
    "footer_content_items": [],
    "logo": {"text": "MiniLLM"},
    "navbar_persistent": [],
    "search_bar_text": SAY["search"],
    "show_toc_level": 2,
    "toc_title": SAY["contents"],
    "use_download_button": False,
    "use_fullscreen_button": False,
}
html_use_index = False
html_context = {"default_mode": "auto", "other_language": "en" if LANGUAGE == "zh" else "zh", "say": SAY}

mathjax_path = "tex-svg-full.js"  # one file with every extension in it: it loads nothing more
mathjax3_config = {
    "options": {"enableMenu": False},  # its accessibility parts would be fetched from elsewhere
    "svg": {"mtextInheritFont": True},  # Chinese within a formula in the page's font
}

pygments_style = "default"
copybutton_exclude = ".linenos, .gp, .go"
copybutton_selector = "div.highlight-ipython3 pre, div.highlight-python pre, div.highlight-bash pre"
