"""Papers, one module or package each: experiments, theory, what only they compute, and their figures."""
