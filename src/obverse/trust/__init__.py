"""What is fitted or judged on predictions, after training: how far answers can be trusted, and where they cannot."""
