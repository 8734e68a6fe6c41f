"""`python -m udta` is the `udta` command."""

from udta.cli import main

if __name__ == "__main__":
    main()
