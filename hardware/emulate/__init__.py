"""Emulated instruments on loopback and pseudo-terminals, with a scene behind them."""
