"""The analyses: pure functions from a network or data to a frozen result; `probe.catalogue` lists them.

None imports another, a file format or matplotlib. docs/guides/adding-an-analysis.md says how to add one.
"""
