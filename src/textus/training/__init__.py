"""Learn: a model, windows of tokens and an objective go in; one `Step` for each update comes out.

```
Transformer + Loader + Objective + TrainConfig -> train() -> Step, Step, ... -> log, monitor, checkpoints
```
"""
