"""The published ways beside ours: same work, same run, one thread. Run with ``make bench``."""
