"""Conditioning of beat samples: tapers, range profiles, calibration, background, multistatic compensation."""
