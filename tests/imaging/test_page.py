from __future__ import annotations

from tests.imaging.page import PAGE, page


def test_the_page_of_the_docs_is_that_of_the_tables():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it with: python -m tests.imaging.page"
