"""A model and text in, numbers that say what they are worth out.

```
documents -> windows -> nats per token -> sums by document -> loss, perplexity, bits per byte, each with its error
          -> compressors, n-gram model -> what the same text costs without a network
sums of two models -> their difference, document by document; sums of many, with and without a step -> what it is worth
```
"""
