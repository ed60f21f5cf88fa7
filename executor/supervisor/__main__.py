"""The supervisor of `manage.py up`, as executor.supervisor.bootstrap starts it: with a plan to be read from a pipe."""

import pickle
import sys

from executor.supervisor.site import CannotStart, Site

with open(int(sys.argv[1]), "rb") as pipe:
    plan = pickle.load(pipe)
try:
    Site(plan).run()
except CannotStart as error:
    sys.exit(str(error))
