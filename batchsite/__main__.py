"""`python -m batchsite`: the command line, for child processes."""

from batchsite.command_line import main

if __name__ == "__main__":
    main()
