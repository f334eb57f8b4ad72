"""``python -m bedside``, for where the command is not on the path."""

from bedside.cli import main

if __name__ == "__main__":
    main()
