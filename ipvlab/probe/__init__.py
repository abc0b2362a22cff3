"""What is sent into a live lab, who heard it, and the proof that the others did not."""
