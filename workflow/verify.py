"""Run a sample of a finished study's steps again and compare: see headcond.study.verification."""

import sys

from headcond.study.verification import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
