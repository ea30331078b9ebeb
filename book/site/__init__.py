"""The book: two Sphinx sites and two PDFs, made from the committed notebooks. `python -m book.site` builds them."""
