"""A model behind a standard API: HTTP in one process, the engine in another.

```
client -> app (keys, limits, fields) -> Link =frames= worker -> Gate -> Engine -> Gate -> frames -> Link -> JSON or SSE
```
"""
