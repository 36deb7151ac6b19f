"""Personal data and secrets in texts.

In: texts. Out: how many findings of each kind each text has, where they are, and the text with placeholders for them.
"""
