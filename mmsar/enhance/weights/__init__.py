"""Weights of the networks that come with the package; MODEL_CARD.md says what they are."""
