"""The language of Tierwise: text, tree, checked tree, sentence, and the reference evaluator that judges engines."""
