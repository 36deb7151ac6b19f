"""A model that is there already, made fit for something: another text, instructions, labels, search.

Checkpoint + examples of the user's + settings -> rows that the training loop learns from -> another checkpoint, with
what it reaches beside what is reached without it.
"""
