#!/usr/bin/env python
"""The command line of a checkout. An installed product has `batch-executor` instead."""

from batchsite.command_line import main

if __name__ == "__main__":
    main()
