"""Temporary sites, benchmarks, chaos runs and the auditor of the invariants. The product never imports it."""
