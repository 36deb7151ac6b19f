"""What a person can do with Textus, one function a file; the command line is their thin twin.

```
paths + RunSettings -> clean, tokenize, pack, plan, train -> a run directory -> evaluate, generate, inspect
```
"""
