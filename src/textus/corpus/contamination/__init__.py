"""Evaluation items that stand in the corpus.

In: files of evaluation sets, and batches of texts. Out: which document holds how much of which item, where, and texts
without it.
"""
