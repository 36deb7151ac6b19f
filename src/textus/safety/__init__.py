"""Decide what may pass in and out, and keep a record of it.

A text and a policy in; a verdict out (allow, score, redact, block), with the text that may go on, its offsets and its
scores. The same windows are read whether a text comes at once or in pieces.
"""
