"""What is repeated over documents: lines that sites and licences put on every page, and whole passages.

In: batches of texts. Out: keys to sort and count, what they decide, and texts without the repeats.
"""
