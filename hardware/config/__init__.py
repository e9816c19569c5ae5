"""What the radar is told: configuration texts, what follows from them, and which limits they break."""
