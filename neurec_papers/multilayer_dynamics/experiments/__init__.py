"""The experiments of both papers, and what several of them share."""
