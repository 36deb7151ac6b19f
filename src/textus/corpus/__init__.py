"""Documents: from files that people have to text that a model can learn from.

```
files -> read -> clean -> deduplicate -> split -> Corpus (train, validation, test: Parquet + manifest + report)
```
"""
