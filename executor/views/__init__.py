"""The pages. Each is whole without scripts; the islands in `static/executor/js` make them live."""
