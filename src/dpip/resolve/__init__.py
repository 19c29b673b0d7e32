"""Requirements in, the transitive `==` closure out, from metadata alone."""
