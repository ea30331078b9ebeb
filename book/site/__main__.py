"""Build the book: python -m book.site (the same as `make book`)."""

import argparse
import sys
from pathlib import Path

from book.site.build import build
from minillm.errors import UserError

ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m book.site", description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder with notebooks/, exercises/ and book/")
    parser.add_argument("--out", type=Path, help="where the sites go; book/_build if not given")
    parser.add_argument("--no-pdf", dest="pdf", action="store_false", help="do not print the PDFs")
    options = parser.parse_args()
    try:
        raise SystemExit(build(options.root, options.out or options.root / "book" / "_build", options.pdf))
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
