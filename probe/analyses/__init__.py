"""The analyses: pure functions from a network or data to a frozen result.

Each is one module here and one of the same name in `probe.figures`. Adding one takes these two files,
their tests, a line in the catalogue of `probe.figures`, and a function in `probe.report.sections` with
its call in `probe.workflow`. None imports another, a
file format or matplotlib.
"""
