"""A temporary installation to try things on: everything real, everything gone afterwards."""
