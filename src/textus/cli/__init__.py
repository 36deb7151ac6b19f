"""The words that a person types: arguments go in, a verb of `textus.verbs` runs, words and JSON come out.

```
argv -> one file a command -> verb -> stdout (results), stderr (words, progress), exit code
```
"""
