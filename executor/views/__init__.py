"""The pages. Each is complete without scripts; the modules in `static/executor/js` make them live."""
