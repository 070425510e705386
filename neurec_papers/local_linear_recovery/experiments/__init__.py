"""The experiments of the paper, and what several of them share."""
