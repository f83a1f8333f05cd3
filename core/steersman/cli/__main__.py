"""`python -m steersman.cli`."""

from steersman.cli import main

if __name__ == "__main__":
    main()
