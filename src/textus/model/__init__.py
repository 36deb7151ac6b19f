"""The transformer: tokens in, logits out.

tokens [batch, time] + documents -> encode -> hidden states -> head -> logits, all in one `ModelOutput`
"""
