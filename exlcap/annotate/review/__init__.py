"""Review labels in FiftyOne: show the pairs, let a person edit and decide, bring the decisions back to the labels."""
