"""Work in pieces: tasks whose results are directories go in, and are done by one process, several, or several machines.

```
Task (place, key, function, payload) -> carrier (here, processes, ranks, Ray) -> sealed directories
```
"""
