"""Logits in, text out.

```
prompt -> Transformer -> logits -> processors, left to right -> Greedy | Sample -> token -> UTF-8, stop -> Piece
```
"""
