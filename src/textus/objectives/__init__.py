"""What a model is asked to predict, and how wrong it was.

Window -> Objective.batch -> Batch(tokens, labels, documents) -> Objective.loss(model, batch) -> Loss(total, count)
"""
