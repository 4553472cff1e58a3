"""One file a framework: `build(case, mode, threads)` makes a Job of a case, or says why it cannot.

The frameworks are imported inside `build`, since few machines have all of them.
"""
