"""Mutation tests: each guard has a test that fails without it.

A mutation removes one guard from the loaded program. A test run applies the one that BATCH_TEST_MUTATION names in all
of its processes, because each of them loads the app `tests.app`.

`python -m tests.mutation [WORD …]` runs, for each mutation, the tests that must fail, and prints a table. It ends with
code 1 when the removal of a guard was not noticed. Words choose the mutations whose names contain one of them.
"""
