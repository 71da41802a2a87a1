"""``python -m clientele COMMAND``."""

from clientele.commands import main

if __name__ == "__main__":
    main()
