"""Quality: from texts to measures of each, from measures to a verdict and the rule behind it.

```
TextBatch -> features -> columns -> verdicts (a profile and the rules of the settings) -> reason of every text
```
Thresholds are applied to the columns alone: another threshold reads no text again.
"""
