"""Entry of a runner process."""

from penstock_worker.runner.process import main

if __name__ == "__main__":
    main()
