"""The quickstart: a small synthetic corpus, two small models and their comparison, on a laptop in minutes."""
