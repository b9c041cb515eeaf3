"""``python -m exlcap``: the same as the ``exlcap`` command."""

from exlcap.cli import main

if __name__ == "__main__":
    main()
