"""The parts of a recipe, one model per file."""
