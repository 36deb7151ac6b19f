"""`python -m textus` is `textus`."""

import sys

from textus.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
