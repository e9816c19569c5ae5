"""The DCA1000 capture card: protocol, control, receiving, recording and reading back."""
