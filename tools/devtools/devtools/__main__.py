"""``python -m devtools COMMAND``."""

from devtools.commands import main

if __name__ == "__main__":
    main()
