"""Documents to token shards, shards to windows: what a model is shown, in an order that needs no memory.

```
Corpus + Tokenizer -> tokenize.build -> Shards -> TokenSplit -> Windows (number -> Window) -> Loader (step -> Window)
```
"""
