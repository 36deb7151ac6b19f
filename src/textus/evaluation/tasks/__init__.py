"""Questions whose answers are known, from local files.

In: JSON lines of choices, minimal pairs, last words, problems or texts, ours or in the format that a public set has.
Out: accuracies by log-likelihood or pseudo-log-likelihood, exact matches, perplexities, each with its standard error.
"""
