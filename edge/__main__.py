"""`python -m stibium.edge` is `stibium`, for processes that start themselves."""

from .cli import main

if __name__ == "__main__":
    main()
