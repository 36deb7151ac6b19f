"""Many texts at once with one model.

```
submit -> Request -> Scheduler, over Blocks -> Pass -> PagedMemory, Transformer -> logits -> Strategy -> Piece
```
"""
