"""``python -m cmaen <verb>``, as the paper's ``python main.py <verb>``."""

from cmaen.cli import main

if __name__ == "__main__":
    main()
