"""Figures of one data set with three inputs, and the experiment that the explorer moves through."""
