"""The frame of experiments: how one is declared, run, stored, drawn and explored.

Importing this package loads neither torch, cvxpy nor plotly.
"""

__version__ = "0.1.0"
