"""Configuration of Sphinx, which builds the documentation site from what `source.py` has prepared: `make docs`."""

project = "Labelwright"
html_title = "Labelwright"
copyright = "The Labelwright maintainers, Apache-2.0"

extensions = ["myst_parser", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
root_doc = "index"

# Links to headings by the names that GitHub gives them.
myst_heading_anchors = 4
copybutton_exclude = ".linenos, .gp"

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_last_updated_fmt = None
# Fonts of the reader's system: the site loads nothing from elsewhere (`check.py` looks).
html_theme_options = {
    "sidebar_hide_name": False,
    "light_css_variables": {"color-brand-primary": "#00629b", "color-brand-content": "#00629b"},
    "dark_css_variables": {"color-brand-primary": "#6cc0ee", "color-brand-content": "#6cc0ee"},
}


def accessible(app, page_name, template, context, doctree):
    """Lets keyboards scroll what is wider than the page, and gives the headings of the contents their level."""
    for wide in ("<pre", '<div class="table-wrapper'):
        tag, _, rest = wide.partition(" ")
        context["body"] = context.get("body", "").replace(wide, f'{tag} tabindex="0" {rest}'.rstrip())
    for name in ("furo_navigation_tree", "toctree_html"):
        if isinstance(context.get(name), str):
            context[name] = context[name].replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app):
    app.connect("html-page-context", accessible, priority=900)  # after the theme has made its contents
