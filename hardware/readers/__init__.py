"""Raw captures of other programs, decoded by the one decoder of the project."""
