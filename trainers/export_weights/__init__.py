"""Write what a run trained in the form in which the papers' authors publish it."""
