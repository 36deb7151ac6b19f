"""The steps from files to a corpus, each a function that fills a directory; `pipeline` puts them in order.

```
parts of files -> measure -> (near, lines, contamination, passages) -> decide -> write -> seal
```
"""
