"""A model and text in, numbers that say what they are worth out.

```
documents -> windows -> nats per token -> sums by document -> loss, perplexity, bits per byte, each with its error
          -> windows of several lengths -> loss by length and by place, speed, memory
          -> confidence and what came true -> calibration; bits of every token -> a page in colours
          -> compressors, n-gram model -> what the same text costs without a network
labelled texts -> states of a frozen network -> a linear classifier, beside what needs no network
sums of two models -> their difference, document by document; sums of many, with and without a step -> what it is worth
```
"""
