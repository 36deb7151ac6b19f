"""Near-duplicates: from the words of documents to which of them say the same, and what follows.

In come batches of texts; out come verified pairs with their scores, the documents to drop with what each repeats, the
clusters that a split must not cut, and how much of what is held out leaked into training.
"""
